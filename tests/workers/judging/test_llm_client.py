"""The client against a real server on loopback that does what servers do: refuses, hangs, drips and lies."""

from __future__ import annotations

import json
import logging
import time
from http.server import BaseHTTPRequestHandler

import pytest

from fixtures.providers.llm_server import Fault, LlmServer, raw, send, status
from phospho_workers.judging.answers import Answer
from phospho_workers.judging.llm_client import CircuitBreaker, LlmClient
from phospho_workers.judging.prompts import Question
from phospho_workers.judging.settings import LlmSettings
from workers.detection.tasks import definition

SECRET = "sk-very-secret"
TEXT = "my card number is 4111"


def question(text: str = TEXT, nonce: str = "n") -> Question:
    return Question([definition("refund", "llm", description="Money back")], {"input": text}, nonce)


def chat(llm: LlmServer, circuit: CircuitBreaker | None = None, **settings: object) -> LlmClient:
    known = {"timeout_s": 5.0, "api_key": SECRET} | settings
    return LlmClient(LlmSettings(llm.base_url, "model-1", **known), circuit)  # type: ignore[arg-type]


def completion(content: object) -> bytes:
    return json.dumps({"choices": [{"message": {"content": content}}]}).encode()


def test_a_question_is_answered_and_its_tokens_are_counted(llm: LlmServer) -> None:
    llm.rule = lambda event, said: {"answer": "yes" if said["user"] == TEXT else "no"}
    [yes, no] = chat(llm).ask([question(), question("hello")])
    assert (yes.outcome, yes.answers) == ("answered", {"refund": Answer(True)})
    assert no.answers == {"refund": Answer(False)}
    assert yes.tokens_in + yes.tokens_out + no.tokens_in + no.tokens_out == llm.tokens
    assert llm.headers[0]["Authorization"] == f"Bearer {SECRET}"


WRAPPED = {
    "fence": "```json\n{}\n```",
    "thoughts": "<think>Is {x} a key?</think>\n{}",
    "sentence": "Here is my answer: {}",
    "twice": "{}\nAs I said: {}",
}


@pytest.mark.parametrize("kind", WRAPPED)
def test_the_one_json_object_of_an_answer_is_read(llm: LlmServer, kind: str) -> None:
    answers = '{"answers": {"n-1": {"answer": "yes"}}}'
    llm.content = WRAPPED[kind].replace("{}", answers)
    [call] = chat(llm).ask([question()])
    assert call.answers == {"refund": Answer(True)}


def test_judge_tries_plainer_dialects_and_rests_if_it_can_read_none(llm: LlmServer) -> None:
    llm.content = "I think that they want money."
    client = chat(llm, concurrency=1)
    calls = client.ask([question(str(number)) for number in range(30)])
    assert [call.outcome for call in calls] == ["no_answer"] * 11 + ["skipped"] * 19
    assert calls[0].reason == "its answer has no JSON object"
    formats = [body.get("response_format", {}).get("type") for body in llm.asked]
    assert formats == ["json_schema"] * 3 + ["json_object"] * 3 + [None] * 5
    assert client.circuit.pause_left_s > 200


def test_an_answer_in_a_plainer_dialect_is_taken_and_remembered(llm: LlmServer) -> None:
    llm.faults = [raw(completion("I think that they want money.")) for _ in range(3)]
    client = chat(llm, concurrency=1)
    assert [call.outcome for call in client.ask([question(str(number)) for number in range(5)])] == [
        "no_answer",
        "no_answer",
        "no_answer",
        "answered",
        "answered",
    ]


def test_where_the_server_does_not_count_an_estimate_does(llm: LlmServer) -> None:
    llm.has_usage = False
    [call] = chat(llm).ask([question()])
    assert 0 < call.tokens_in < question().max_prompt_tokens
    assert call.tokens_out > 0


def hang(llm: LlmServer) -> Fault:
    # Longer than the time-out of a test: only a client that gives up passes.
    return lambda _: llm.released.wait(300) and None


def drip(llm: LlmServer) -> Fault:
    def dripping(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "1000000")
        handler.end_headers()
        while not llm.released.wait(0.02):
            handler.wfile.write(b" ")
            handler.wfile.flush()

    return dripping


def cut(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b'{"choices"')
    handler.close_connection = True


@pytest.mark.parametrize("fault", [status(429, Retry_After="0"), status(500), status(503), status(529), cut])
def test_what_passes_is_tried_again(llm: LlmServer, fault: Fault) -> None:
    llm.faults = [fault, fault]
    [call] = chat(llm).ask([question()])
    assert (call.outcome, len(llm.asked)) == ("answered", 3)


def test_a_server_that_hangs_is_given_up_in_time(llm: LlmServer) -> None:
    llm.faults = [hang(llm)] * 3
    [call] = chat(llm, timeout_s=0.2).ask([question()])
    assert (call.outcome, len(llm.asked)) == ("failed", 3)
    assert (call.tokens_in, call.tokens_out) == most(3), "each may have been charged"


def most(attempts: int) -> tuple[int, int]:
    return attempts * question().max_prompt_tokens, attempts * question().max_answer_tokens


@pytest.mark.parametrize(
    ("fault", "charged"), [(status(500), 2), (status(504), 2), (cut, 2), (status(503), 0), (status(429), 0)]
)
def test_client_counts_cost_of_attempts_without_answer(llm: LlmServer, fault: Fault, charged: int) -> None:
    llm.faults = [fault, fault]
    [call] = chat(llm).ask([question()])
    tokens_in, tokens_out = most(charged)
    assert call.outcome == "answered"
    assert (call.tokens_in - tokens_in) + (call.tokens_out - tokens_out) == llm.tokens > 0


def test_an_answer_of_nothing_may_have_cost_the_most(llm: LlmServer) -> None:
    llm.faults = [raw(b"garbage")]
    [call] = chat(llm).ask([question()])
    assert (call.outcome, call.tokens_in, call.tokens_out) == ("no_answer", *most(1))


def test_a_question_is_sent_no_more_often_than_was_paid_for(llm: LlmServer) -> None:
    llm.faults = [status(500)] * 10
    calls = chat(llm, concurrency=1).ask([question(), question("hello")], [1, 2])
    assert ([call.outcome for call in calls], len(llm.asked)) == (["failed", "failed"], 3)


def test_the_most_that_a_prompt_can_have_counts_its_schema(llm: LlmServer) -> None:
    chat(llm).ask([question()])
    [body] = llm.asked
    sent = [message["content"] for message in body["messages"]]
    sent.append(json.dumps(body["response_format"]["json_schema"]["schema"]))
    assert question().max_prompt_tokens > sum(len(text.encode()) for text in sent)


def test_a_server_that_drips_is_given_up_in_time(llm: LlmServer) -> None:
    llm.faults = [drip(llm)]
    [call] = chat(llm, timeout_s=0.3, attempts=1).ask([question()])
    assert call.outcome == "failed"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\x00\xff garbage",
        b"<html>busy</html>",
        b'{"choices": [{"message": {"content"',
        b'{"choices": []}',
        b'{"choices": [{"message": {"content": null}}]}',
        b'{"error": "overloaded"}',
        b"[" * 200_000,
        completion("yes"),
        completion('{"answers": {"n-1": {"answer": "yes"'),
        completion('{"answers": {"n-1": {"answer": "yes", "why": "he says so"}}}'),
        completion({"answers": {}}),
        b" " * 5_000_000 + completion('{"answers": {"n-1": {"answer": "yes"}}}'),
    ],
    ids=lambda body: repr(body[:20]),
)
def test_an_answer_that_can_not_be_read_is_no_judgement(llm: LlmServer, body: bytes) -> None:
    llm.faults = [raw(body)]
    [call] = chat(llm).ask([question()])
    assert (call.outcome, call.answers, len(llm.asked)) == ("no_answer", {}, 1)


@pytest.mark.parametrize("usage", [None, {"prompt_tokens": -1, "completion_tokens": 1}, {"prompt_tokens": 1e300}, "?"])
def test_a_count_that_can_not_be_is_not_believed(llm: LlmServer, usage: object) -> None:
    good = json.loads(completion('{"answers": {"n-1": {"answer": "no"}}}'))
    llm.faults = [raw(json.dumps(good | {"usage": usage}).encode())]
    [call] = chat(llm).ask([question()])
    assert call.outcome == "answered"
    assert 0 < call.tokens_in < question().max_prompt_tokens


def test_client_asks_a_refused_request_once_and_stays_closed(llm: LlmServer) -> None:
    llm.understands = lambda body: TEXT not in body["messages"][-1]["content"]
    asking = chat(llm, CircuitBreaker(max_failures=1))
    [refused] = asking.ask([question()])
    assert (refused.outcome, asking.circuit.is_open) == ("refused", False)
    [other] = asking.ask([question("hello")])
    assert other.outcome == "answered"


@pytest.mark.parametrize(
    "understands",
    [
        lambda body: "max_tokens" not in body and "temperature" not in body,
        lambda body: body.get("response_format", {}).get("type") != "json_schema",
        lambda body: "response_format" not in body,
        lambda body: not body.keys() & {"response_format", "temperature"},
    ],
)
def test_client_remembers_the_dialect_of_a_server(llm: LlmServer, understands: object) -> None:
    llm.understands = understands  # type: ignore[assignment]
    asking = chat(llm)
    assert [call.outcome for call in asking.ask([question()])] == ["answered"]
    before = len(llm.asked)
    assert [call.outcome for call in asking.ask([question()])] == ["answered"]
    assert len(llm.asked) == before + 1


def test_the_answer_is_held_to_its_schema_where_the_server_can(llm: LlmServer) -> None:
    chat(llm).ask([question()])
    [body] = llm.asked
    assert body["response_format"]["json_schema"]["schema"] == question().schema()
    assert (body["temperature"], body["max_tokens"]) == (0.0, question().max_answer_tokens)


@pytest.mark.parametrize("code", [401, 403, 404])
def test_client_pauses_after_repeated_unauthorized(llm: LlmServer, code: int) -> None:
    llm.faults = [status(code)] * 100
    asking = chat(llm, CircuitBreaker(max_failures=3), concurrency=1)
    calls = asking.ask([question()] * 10)
    assert [call.outcome for call in calls] == ["failed"] * 3 + ["skipped"] * 7
    assert asking.circuit.is_open


@pytest.mark.parametrize("code", [403, 409, 413, 414, 431, 451])
def test_a_text_that_is_refused_by_itself_keeps_no_other_waiting(llm: LlmServer, code: int) -> None:
    asking = chat(llm, CircuitBreaker(max_failures=1), concurrency=1)
    assert [call.outcome for call in asking.ask([question("hello")])] == ["answered"]
    llm.faults = [status(code), None]
    assert [call.outcome for call in asking.ask([question(), question("hello")])] == ["refused", "answered"]
    assert len(llm.asked) == 3


def test_client_takes_repeated_403_for_a_fault_of_the_key(llm: LlmServer) -> None:
    asking = chat(llm, CircuitBreaker(max_failures=1), concurrency=1)
    asking.ask([question()])
    llm.faults = [status(403)] * 100
    outcomes = [call.outcome for call in asking.ask([question()] * 6)]
    assert outcomes == ["refused"] * 3 + ["failed"] + ["skipped"] * 2


def test_nobody_at_the_address_costs_nothing(llm: LlmServer) -> None:
    nobody = LlmClient(LlmSettings("http://127.0.0.1:9", "m"), CircuitBreaker(max_failures=2))
    calls = nobody.ask([question()] * 4)
    assert {call.outcome for call in calls} <= {"failed", "skipped"}
    assert sum(call.tokens_in for call in calls) == 0


def test_a_redirect_is_not_followed(llm: LlmServer) -> None:
    llm.faults = [status(307, Location=f"{llm.base_url}/elsewhere")]
    [call] = chat(llm).ask([question()])
    assert (call.outcome, len(llm.asked)) == ("failed", 1)


def test_no_more_calls_are_under_way_than_the_settings_allow(llm: LlmServer) -> None:
    slow: Fault = lambda handler: (time.sleep(0.02), send(handler, 200, completion("")))[1]  # noqa: E731
    llm.faults = [slow] * 12
    chat(llm, concurrency=3).ask([question()] * 12)
    assert 1 <= llm.most_at_once <= 3


def test_neither_texts_nor_keys_are_logged(llm: LlmServer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    llm.faults = [status(500), raw(b"garbage " + TEXT.encode()), status(401)]
    asking = chat(llm)
    for _ in range(3):
        asking.ask([question()])
    assert TEXT not in caplog.text
    assert SECRET not in caplog.text
    assert SECRET not in repr(LlmSettings(llm.base_url, "m", SECRET))
