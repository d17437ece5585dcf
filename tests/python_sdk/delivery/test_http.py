"""The HTTP transport against a server on loopback: its requests, and the effect of each answer."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest

import phospho
from fixtures.waiting import wait_until
from phospho.config import RetryPolicy

Make = Callable[..., phospho.Client]


def test_logs_go_to_batch_endpoint_with_bearer_key(server: Any, make_client: Make) -> None:
    client = make_client()

    log = client.log(input="Hello", output="Hi", user_id="u", metadata={"model": "gpt-4"}, other=1)
    result = client.flush()

    assert result.sent == (log["task_id"],)
    request = server.requests[0]
    assert (request.method, request.path) == ("POST", "/api/v1/events/batch")
    assert request.headers["Authorization"] == "Bearer ph_test"
    assert request.headers["User-Agent"] == f"phospho-python/{phospho.__version__}"
    event = server.logs[0]
    assert event["task_id"] == log["event_id"]
    assert (event["input"], event["output"], event["user_id"]) == ("Hello", "Hi", "u")
    assert event["metadata"] == {"model": "gpt-4"}
    assert event["other"] == 1


def test_redirect_is_rejected_with_its_target(server: Any, make_client: Make) -> None:
    server.script = lambda request: server.error(301, headers=(("Location", "https://logs.example/api"),))._replace(
        body=b"<html>"
    )
    client = make_client()
    client.log(input="Hello")

    [(_, reason)] = client.flush().rejected

    assert "http_301" in reason
    assert "redirects to https://logs.example/api" in reason
    assert "base_url=" in reason


@pytest.mark.parametrize(
    ("body", "shown"), [(b"\x00\x1b[2J\nno" + b"x" * 9999, r"'\x00\x1b[2J\nnox"), (b"", "no reason")]
)
def test_unreadable_refusal_is_escaped_and_cut(server: Any, make_client: Make, body: bytes, shown: str) -> None:
    server.script = lambda request: server.error(403)._replace(body=body)
    client = make_client()
    client.log(input="Hello")

    [(_, reason)] = client.flush().rejected

    assert shown in reason
    assert len(reason) < 300


def test_client_without_key_warns_once(server: Any, make_client: Make, caplog: pytest.LogCaptureFixture) -> None:
    make_client(api_key=None)
    make_client(api_key=None, transport=phospho.RecordingTransport())

    [warning] = caplog.messages
    assert "no API key" in warning
    assert "PHOSPHO_API_KEY" in warning


def test_raw_field_that_repeats_its_text_is_not_sent(server: Any, make_client: Make) -> None:
    client = make_client()

    client.log(input="Hello", output={"answer": "Hi"})
    client.flush()

    assert "raw_input" not in server.logs[0]
    assert server.logs[0]["raw_output"] == {"answer": "Hi"}


def test_large_bodies_are_compressed(server: Any, make_client: Make) -> None:
    client = make_client()

    client.log(input="x" * 5000)
    client.flush()

    assert server.requests[0].headers["Content-Encoding"] == "gzip"
    assert int(server.requests[0].headers["Content-Length"]) < 1000
    assert server.logs[0]["input"] == "x" * 5000


def test_feedback_is_sent_after_its_log(server: Any, make_client: Make) -> None:
    client = make_client(tick=5)

    log = client.log(input="Hello", output="Hi")
    client.feedback(log["event_id"], score=1, comment="Great")
    client.flag(log["task_id"], "failure", source="reviewer", notes="Wrong")
    client.flush()

    assert [request.path.rsplit("/", 1)[1] for request in server.requests] == ["batch", "feedback", "feedback"]
    path = f"/api/v1/events/{log['event_id']}/feedback"
    assert server.feedback == [
        (path, {"score": 1, "comment": "Great"}),
        (path, {"flag": "failure", "notes": "Wrong", "source": "reviewer"}),
    ]


def test_label_is_sent_after_its_log(server: Any, make_client: Make) -> None:
    client = make_client(tick=5)

    task_id = client.log(input="Hello", output="Hi")["task_id"]
    client.confirm_event(task_id, "greeting", comment="Clearly")
    client.reject_event(task_id, "refund")
    client.clear_event(task_id, "refund")
    assert client.flush().is_complete

    assert [request.path for request in server.requests] == ["/api/v1/events/batch", *["/api/v1/labels"] * 3]
    assert [label for request in server.requests[1:] for label in request.document["labels"]] == [
        {"event": "greeting", "task_id": task_id, "label": "confirmed", "comment": "Clearly"},
        {"event": "refund", "task_id": task_id, "label": "rejected"},
        {"event": "refund", "task_id": task_id, "label": ""},
    ]


@pytest.mark.parametrize("reply", [(404, "unknown_task"), (503, "unavailable")])
def test_label_is_retried_until_its_task_is_stored(server: Any, make_client: Make, reply: tuple[int, str]) -> None:
    documents = []

    def twice_refused(request: Any) -> Any:
        documents.append(request.document)
        return server.error(*reply) if len(documents) < 3 else None

    server.script = twice_refused
    client = make_client()

    client.confirm_event("some-task", "refund")

    assert client.flush().is_complete
    assert len(documents) == 3


def test_label_of_unknown_task_is_dropped_after_grace(
    server: Any, make_client: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("phospho._delivery.http._UNKNOWN_TASK_GRACE_S", 0.0)
    server.script = lambda request: server.error(404, "unknown_task") if "labels" in request.path else None
    client = make_client()

    client.confirm_event("nobody", "refund")
    later_id = client.log(input="Hello")["task_id"]

    assert client.flush().sent == (later_id,)
    assert client.stats().dropped == {"rejected:http_404": 1}


@pytest.mark.parametrize(("task_id", "name"), [("", "refund"), ("t", ""), (None, "refund"), ("t", None)])
def test_label_without_task_or_event_is_dropped(server: Any, make_client: Make, task_id: Any, name: Any) -> None:
    client = make_client()

    client.reject_event(task_id, name)

    assert client.stats().dropped == {"invalid": 1}
    assert client.flush().is_complete
    assert server.requests == []


def test_feedback_retry_keeps_its_idempotency_key(server: Any, make_client: Make) -> None:
    keys = []

    def once_unavailable(request: Any) -> Any:
        keys.append(request.headers["Idempotency-Key"])
        return server.error(503) if len(keys) == 1 else None

    server.script = once_unavailable
    client = make_client()

    client.feedback("some-task", score=0)
    client.flush()

    assert len(keys) == 2
    assert keys[0] == keys[1]


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_retryable_status_is_retried_under_same_id(server: Any, make_client: Make, status: int) -> None:
    documents = []

    def fail_twice(request: Any) -> Any:
        documents.append([event["task_id"] for event in request.document["events"]])
        return server.error(status) if len(documents) <= 2 else None

    server.script = fail_twice
    client = make_client()

    log = client.log(input="Hello")
    result = client.flush()

    assert result.sent == (log["task_id"],)
    assert documents == [[log["task_id"]]] * 3
    assert client.stats().retried == {f"http_{status}": 2}


def test_retry_after_is_kept_during_flush(server: Any, make_client: Make) -> None:
    server.script = lambda request: server.error(429, headers=(("Retry-After", "300"),))
    client = make_client()

    log = client.log(input="Hello")
    server_saw_one = client.flush(timeout=0.3)
    again = client.flush(timeout=0.2)

    assert server_saw_one.pending == again.pending == (log["task_id"],)
    assert client.stats().retried == {"http_429": 1}


def test_refused_key_says_where_to_correct_it(server: Any, make_client: Make) -> None:
    server.script = lambda request: server.error(401)
    client = make_client()
    refused = client.log(input="refused")

    reason = f"http_401: {server.url} refuses the API key. Check PHOSPHO_API_KEY, or api_key= of phospho.init"
    assert client.flush().rejected == ((refused["task_id"], reason),)


@pytest.mark.parametrize("status", [403, 404])
def test_refused_event_is_reported_and_later_logs_arrive(server: Any, make_client: Make, status: int) -> None:
    is_refusing = True
    server.script = lambda request: server.error(status) if is_refusing else None
    client = make_client()

    refused = client.log(input="refused")
    first = client.flush()
    is_refusing = False
    later = client.log(input="later")
    second = client.flush()

    assert first.rejected == ((refused["task_id"], f"http_{status}: some_code: what happened. What to do"),)
    assert second.sent == (later["task_id"],)
    assert client.stats().dropped == {f"rejected:http_{status}": 1}


@pytest.mark.parametrize("status", [400, 413, 422])
def test_batch_with_bad_event_is_sent_in_halves(server: Any, make_client: Make, status: int) -> None:
    server.script = lambda request: (
        server.error(status) if any(event["input"] == "bad" for event in request.document["events"]) else None
    )
    client = make_client(tick=5)

    logs = [client.log(input="bad" if number == 3 else f"good {number}") for number in range(8)]
    result = client.flush()

    assert [event_id for event_id, _ in result.rejected] == [logs[3]["task_id"]]
    assert sorted(event["input"] for event in server.logs) == sorted(f"good {n}" for n in range(8) if n != 3)


def test_rejected_event_is_reported_with_its_reason(server: Any, make_client: Make) -> None:
    def refuse_second(request: Any) -> Any:
        results = [
            {"status": "accepted"},
            {"status": "rejected", "error": {"code": "invalid_input", "message": "empty", "hint": "say something"}},
        ]
        return server.reply({"results": results})

    server.script = refuse_second
    client = make_client(tick=5)

    good, bad = client.log(input="good"), client.log(input="")
    result = client.flush()

    assert result.sent == (good["task_id"],)
    assert result.rejected == ((bad["task_id"], "invalid_input: empty. Say something"),)
    assert not result.is_complete


def test_proxy_page_is_retried(server: Any, make_client: Make) -> None:
    answers = [server.reply(b"<html>Please log in to the hotel network</html>")]
    server.script = lambda request: answers.pop() if answers else None
    client = make_client()

    log = client.log(input="Hello")
    result = client.flush()

    assert result.sent == (log["task_id"],)
    assert client.stats().retried == {"bad_answer": 1}


def test_unreachable_server_is_retried(make_client: Make, server: Any) -> None:
    nobody = make_client(base_url="http://127.0.0.1:1")

    log = nobody.log(input="Hello")
    result = nobody.flush(timeout=0.3)

    assert result.pending == (log["task_id"],)
    assert nobody.stats().retried["no_answer"] >= 2


def test_batch_is_bounded_by_count(server: Any, make_client: Make) -> None:
    client = make_client(tick=5, limits=phospho.Limits(batch_events=10))

    for number in range(35):
        client.log(input=str(number))
    client.flush()

    assert [len(request.document["events"]) for request in server.requests][:3] == [10, 10, 10]
    assert [event["input"] for event in server.logs] == [str(number) for number in range(35)]


def test_batch_is_bounded_by_bytes(server: Any, make_client: Make) -> None:
    client = make_client(tick=5, limits=phospho.Limits(batch_bytes=25_000))

    for _ in range(6):
        client.log(input="x" * 5_000)
    client.flush()

    assert [len(request.document["events"]) for request in server.requests] == [2, 2, 2]


@pytest.mark.parametrize("suffix", ["", "/", "/v2", "/v3/", "/api/v1"])
def test_base_url_suffix_of_other_clients_is_removed(server: Any, make_client: Make, suffix: str) -> None:
    client = make_client(base_url=server.url + suffix)

    client.log(input="Hello")
    client.flush()

    assert server.requests[0].path == "/api/v1/events/batch"


def test_lone_surrogate_does_not_harm_its_batch(server: Any, make_client: Make) -> None:
    client = make_client(tick=5)

    client.log(input="half of a pair: \ud83d", output=float("nan"))
    client.log(input="whole: \U0001f600")
    result = client.flush()

    assert result.is_complete
    assert [event["input"] for event in server.logs] == ["half of a pair: ?", "whole: \U0001f600"]


def test_proxy_of_environment_gets_whole_address(
    server: Any, make_client: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", server.url.replace("http://", "http://user:secret@"))
    monkeypatch.setenv("no_proxy", "")
    client = make_client(base_url="http://phospho.example:1234")

    client.log(input="Hello")

    assert client.flush().is_complete
    assert server.requests[0].path == "http://phospho.example:1234/api/v1/events/batch"
    assert server.requests[0].headers["Proxy-Authorization"].startswith("Basic ")


def test_loopback_address_bypasses_proxy(server: Any, make_client: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("no_proxy", "")
    client = make_client()

    client.log(input="Hello")

    assert client.flush().is_complete


def test_connection_closed_by_server_is_reopened(server: Any, make_client: Make) -> None:
    server.script = lambda request: server.reply_and_close(request)
    client = make_client()

    for number in range(3):
        client.log(input=str(number))
        assert client.flush().is_complete

    assert client.stats().retried == {}


def test_event_that_causes_500_holds_up_no_other(server: Any, make_client: Make) -> None:
    server.script = lambda request: (
        server.error(500) if any(event["input"] == "poison" for event in request.document["events"]) else None
    )
    client = make_client(tick=0.001)

    poison = client.log(input="poison")
    before = [client.log(input=f"before {number}")["task_id"] for number in range(20)]
    server.wait_for(lambda: len(server.logs) >= 20)
    after = [client.log(input=f"after {number}")["task_id"] for number in range(20)]
    server.wait_for(lambda: len(server.logs) >= 40)

    assert {log["task_id"] for log in server.logs} == {*before, *after}
    wait_until(lambda: client.stats().sent >= 40, "the sender has not read the last answer")
    assert client.flush(timeout=0.1).pending == (poison["task_id"],)


def test_failing_server_gets_bounded_requests(server: Any, make_client: Make) -> None:
    requests = []
    server.script = lambda request: requests.append(request) or server.error(500)
    client = make_client(tick=0.01)

    for number in range(100):
        client.log(input=str(number))
    client.flush(timeout=1)

    assert len(requests) < 300
    assert client.stats().dropped == {}


@pytest.mark.parametrize(
    "retry_after",
    [lambda: formatdate(time.time() + 300, usegmt=True), lambda: "300", lambda: "299.5"],
)
def test_retry_after_is_seconds_or_date(server: Any, make_client: Make, retry_after: Callable[[], str]) -> None:
    server.script = lambda request: server.error(503, headers=(("Retry-After", retry_after()),))
    client = make_client()

    client.log(input="Hello")
    client.flush(timeout=0.3)

    assert client.stats().retried == {"http_503": 1}


def test_invalid_retry_after_is_ignored(server: Any, make_client: Make) -> None:
    answers = [server.error(503, headers=(("Retry-After", "soon"),))]
    server.script = lambda request: answers.pop() if answers else None
    client = make_client()

    client.log(input="Hello")

    assert client.flush().is_complete


def test_https_uses_certificates_of_environment(
    server: Any, make_client: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("needs openssl to make a certificate")
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    files = ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run(
        [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", *subject, *files],
        check=True,
        capture_output=True,
        timeout=60,
    )
    server.use_tls(certificate, key)
    address = server.url.replace("http://127.0.0.1", "https://localhost")

    distrusting = make_client(base_url=address)
    distrusting.log(input="Hello")
    wait_until(lambda: "no_answer" in distrusting.stats().retried)
    assert distrusting.flush(timeout=0).pending

    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    trusting = make_client(base_url=address)
    trusting.log(input="Hello")
    assert trusting.flush().is_complete


def test_retry_policy_keeps_backoff_at_retry_after_zero() -> None:
    policy = RetryPolicy(initial_s=1.0, max_s=30.0)

    assert max(policy.delay_s(10, 0.0) for _ in range(50)) > 5
