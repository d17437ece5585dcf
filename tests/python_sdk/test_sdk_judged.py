"""What a review found: each was wrong once, and would be again without these tests."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from typing import Any

import phospho
from phospho._content.json_values import CYCLE, to_jsonable
from phospho.config import RetryPolicy


def client_on(transport: Any, **options: Any) -> phospho.Client:
    return phospho.Client(api_key="k", project_id="p", transport=transport, **options)


def test_a_stream_under_the_id_of_a_waiting_log_does_not_end_the_sender() -> None:
    transport = phospho.RecordingTransport()
    client = client_on(transport, tick=0.05)
    client.log("asked", task_id="T")

    def slow() -> Any:
        for word in ("an", "swer"):
            time.sleep(0.1)
            yield word

    stream = phospho.MutableGenerator(slow(), stop=lambda _: False)
    client.log("asked", stream, task_id="T", stream=True)
    assert "".join(stream) == "answer"
    for number in range(5):
        client.log(f"later {number}")

    result = client.flush(10)

    assert result.is_complete
    assert len(transport.logs) >= 6


def test_the_first_send_imports_nothing_that_a_fork_could_cut_in_half() -> None:
    code = (
        "import sys, phospho\n"
        "client = phospho.Client(api_key='k', base_url='http://127.0.0.1:9')\n"
        "before = set(sys.modules)\n"
        "client.log('x'); client.flush(0.5)\n"
        "late = sorted(set(sys.modules) - before)\n"
        "assert not late, late\n"
        "client._pipeline.queue.abandon() if hasattr(client._pipeline.queue, 'abandon') else None\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False)

    assert done.returncode == 0, done.stderr


def test_objects_that_know_each_other_cost_no_more_than_they_are() -> None:
    root: dict[str, Any] = {"name": "root"}
    root["children"] = [{"parent": root, "siblings": root} for _ in range(50)]

    copy = to_jsonable(root)

    assert copy["children"][0] == {"parent": CYCLE, "siblings": CYCLE}


def test_an_event_that_can_not_be_json_holds_up_no_other(server: Any) -> None:
    client = phospho.Client(api_key="k", base_url=server.url)
    poisoned = client.log("poisoned", metadata={"a": {}})
    client.log("good")
    client.log_queue.events[poisoned["task_id"]].content["metadata"]["a"]["later"] = object()

    result = client.flush(10)

    assert not result.pending
    assert client.stats().dropped == {"rejected:not_encodable": 1}
    assert "good" in [log["input"] for log in server.logs]


def test_feedback_takes_what_is_no_json(server: Any) -> None:
    import uuid
    from decimal import Decimal

    client = phospho.Client(api_key="k", base_url=server.url)
    client.feedback(uuid.uuid4(), 1, comment=Decimal("1.5"))  # type: ignore[arg-type]

    assert client.flush(10).is_complete


def test_a_server_that_says_zero_again_and_again_does_not_switch_the_backoff_off() -> None:
    policy = RetryPolicy(initial_s=1.0, max_s=30.0)

    assert max(policy.delay_s(10, 0.0) for _ in range(50)) > 5


def test_a_flush_without_end_is_no_error() -> None:
    client = client_on(phospho.RecordingTransport())
    client.log("x")

    assert client.flush(float("inf")).is_complete
    assert client.flush(threading.TIMEOUT_MAX * 2).is_complete


def test_a_wrapped_function_returns_its_list_as_it_is() -> None:
    phospho.init(api_key="k", project_id="p")
    wrapped = phospho.wrap(lambda stream: ["a", "b"])

    assert wrapped(stream=True) == ["a", "b"]
