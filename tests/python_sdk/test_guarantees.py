"""Guarantees of the README: no exception, no blocking, bounded memory, threads, forks, and the process's end."""

from __future__ import annotations

import asyncio
import functools
import json
import logging
import os
import resource
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import phospho

Make = Callable[..., phospho.Client]


def run_python(source: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run *source* in a new process, for at most 60 seconds."""
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(source)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


class Hostile:
    """An object whose attributes and text all raise."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(f"no {name} for you")

    def __str__(self) -> str:
        raise RuntimeError("no text for you")

    __repr__ = __str__


def cyclic() -> dict[str, Any]:
    value: dict[str, Any] = {"name": "cycle"}
    value["self"] = value
    return value


class TestNeverRaises:
    @pytest.mark.parametrize(
        "make_value",
        [
            Hostile,
            cyclic,
            lambda: b"\xff\xfe",
            lambda: object,
            lambda: float("inf"),
            lambda: {1: {2}},
            lambda: [Hostile()],
            lambda: 10**30,
            lambda: {"huge": 10**10_000},
            lambda: functools.reduce(lambda inner, _: [inner], range(5000), []),
        ],
    )
    def test_log_of_any_value_raises_nothing(
        self, recorded: phospho.RecordingTransport, make_value: Callable[[], Any]
    ) -> None:
        value = make_value()

        log = phospho.log(input=value, output=value, raw_input=value, metadata=value, more=value)

        assert log["event_id"]
        assert phospho.flush().sent == (log["event_id"],)
        assert json.loads(json.dumps(recorded.logs)) == recorded.logs

    def test_failing_functions_of_app_fall_back_to_default(self, recorded: phospho.RecordingTransport) -> None:
        def fail(*arguments: Any) -> Any:
            raise KeyError("not there")

        log = phospho.log(
            input="in",
            output="out",
            input_to_str_function=fail,
            output_to_str_function=fail,
            input_output_to_usage_function=fail,
        )

        assert (log["input"], log["output"]) == ("in", "out")
        assert phospho.stats().errors == {
            "input_to_str_function": 1,
            "output_to_str_function": 1,
            "input_output_to_usage_function": 1,
        }

    def test_raising_transport_costs_an_attempt_not_the_thread(self, make_client: Make) -> None:
        class Faulty(phospho.RecordingTransport):
            def send(self, events: Any) -> Any:
                if self.attempts < 2:
                    self.attempts += 1
                    raise ZeroDivisionError("a bug")
                return super().send(events)

        transport = Faulty()
        client = make_client(transport=transport)

        log = client.log(input="Hello")

        assert client.flush().sent == (log["task_id"],)
        assert client.stats().errors == {"transport": 2}

    @pytest.mark.parametrize(("score", "is_taken"), [(0, True), (1, True), (2, False), ("good", False)])
    def test_feedback_with_invalid_score_is_dropped(
        self, recorded: phospho.RecordingTransport, score: Any, is_taken: bool
    ) -> None:
        phospho.feedback("some-task", score)
        phospho.flush()

        assert len(recorded.feedback) == int(is_taken)
        assert phospho.stats().dropped == ({} if is_taken else {"invalid": 1})

    def test_warning_is_logged_once_for_many_events(self, make_client: Make, caplog: pytest.LogCaptureFixture) -> None:
        transport = phospho.RecordingTransport(answer=lambda event: phospho.Outcome.rejected("no", "why"))
        client = make_client(transport=transport)

        with caplog.at_level(logging.WARNING, logger="phospho"):
            for _ in range(100):
                client.log(input="Hello")
            client.flush()

        assert len(caplog.records) == 1
        assert client.stats().dropped == {"rejected:no": 100}

    def test_log_before_init_raises_not_initialized(self) -> None:
        with pytest.raises(phospho.NotInitializedError, match=r"Call phospho.init\(\) first"):
            phospho.log(input="Hello")


class TestConversion:
    """Arguments of the wrong type are converted to what the server accepts."""

    def test_ids_become_text(self, recorded: phospho.RecordingTransport) -> None:
        phospho.log(input="Hello", session_id=7, user_id=42, version_id=1.5, task_id=12)
        phospho.flush()

        log = recorded.logs[0]
        assert (log["session_id"], log["user_id"], log["version_id"], log["task_id"]) == ("7", "42", "1.5", "12")

    def test_metadata_that_is_no_object_becomes_object(self, recorded: phospho.RecordingTransport) -> None:
        phospho.log(input="Hello", metadata=["a", "b"])
        phospho.log(input="Hello", metadata=None)
        phospho.flush()

        assert recorded.logs[0]["metadata"] == {"value": ["a", "b"]}
        assert "metadata" not in recorded.logs[1]

    def test_input_of_none_is_empty(self, recorded: phospho.RecordingTransport) -> None:
        phospho.log(input="Hello", input_to_str_function=lambda value: None)
        phospho.flush()

        assert recorded.logs[0]["input"] == ""


class TestRaisesWhenAsked:
    def test_send_error_is_raised_for_lost_events(self, make_client: Make) -> None:
        transport = phospho.RecordingTransport(answer=lambda event: phospho.Outcome.rejected("bad_key", "revoked"))
        client = make_client(transport=transport, raise_error_on_fail_to_send=True)

        client.log(input="Hello")

        with pytest.raises(phospho.SendError, match="bad_key: revoked"):
            client.flush()

    @pytest.mark.parametrize("finish", [phospho.Client.flush, phospho.Client.close])
    def test_send_error_names_unsent_events_and_reason(self, server: Any, make_client: Make, finish: Any) -> None:
        server.script = lambda request: server.error(503, "away")
        client = make_client(raise_error_on_fail_to_send=True)
        log = client.log(input="Hello")

        with pytest.raises(phospho.SendError) as caught:
            finish(client, 0.3)

        [line] = caught.value.failures
        assert line.startswith(f"{log['task_id']}: not sent yet: http_503: away: what happened")

    def test_events_left_by_flush_are_sent_later(self, server: Any, make_client: Make) -> None:
        server.script = lambda request: server.error(503, "away")
        client = make_client(raise_error_on_fail_to_send=True)
        client.log(input="Hello")
        with pytest.raises(phospho.SendError):
            client.flush(0.1)

        server.script = lambda request: None

        assert client.flush().is_complete

    def test_send_error_is_not_raised_by_default(self, server: Any, make_client: Make) -> None:
        server.script = lambda request: server.error(503, "away")
        client = make_client()
        client.log(input="Hello")

        assert len(client.close(0.1).pending) == 1

    def test_send_error_is_not_raised_for_sent_events(self, make_client: Make) -> None:
        client = make_client(transport=phospho.RecordingTransport(), raise_error_on_fail_to_send=True)

        client.log(input="Hello")

        assert client.flush().is_complete


class TestNeverBlocks:
    def test_log_stays_fast_while_the_server_hangs(self, server: Any, make_client: Make) -> None:
        server.is_released.clear()
        client = make_client()
        client.log(input="the one that hangs")
        durations = []

        for _ in range(2000):
            began = time.perf_counter()
            client.log(input="x" * 500, output="y" * 500)
            durations.append(time.perf_counter() - began)

        durations.sort()
        assert durations[len(durations) // 2] < 0.001
        assert client.flush(timeout=0.05).pending
        server.is_released.set()
        assert client.flush().is_complete

    def test_flush_ends_at_timeout(self, server: Any, make_client: Make) -> None:
        server.is_released.clear()
        client = make_client()
        log = client.log(input="Hello")

        result = client.flush(timeout=0.2)

        assert result.pending == (log["task_id"],)


class TestNeverGrows:
    @pytest.mark.parametrize("logs", [100_000, pytest.param(1_000_000, marks=pytest.mark.chaos)])
    def test_logs_take_bounded_memory_while_server_is_down(self, logs: int) -> None:
        """A leak of 300 bytes a log would fail the short run, one of 20 bytes the run of `make chaos`."""
        client = phospho.Client(base_url="http://127.0.0.1:1", limits=phospho.Limits(queue_events=10_000))
        text = "x" * 1000
        for _ in range(20_000):
            client.log(input=text, output=text)
        before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

        for _ in range(logs - 20_000):
            client.log(input=text, output=text)

        grown_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb
        stats = client.stats()
        client.close(timeout=0)
        assert grown_kb < 20_000
        assert (stats.logged, stats.queued) == (logs, 10_000)
        assert stats.dropped == {"queue_full": logs - 10_000}

    def test_queue_is_bounded_by_bytes(self, server: Any, make_client: Make) -> None:
        server.is_released.clear()
        client = make_client(limits=phospho.Limits(queue_bytes=100_000))

        for _ in range(100):
            client.log(input="x" * 10_000)

        assert 0 < client.log_queue.held_bytes <= 100_000
        assert client.stats().dropped["queue_full"] > 90

    def test_full_queue_keeps_old_events_and_refuses_new(self, make_client: Make, server: Any) -> None:
        server.is_released.clear()
        client = make_client(limits=phospho.Limits(queue_events=3))

        for number in range(5):
            client.log(input=str(number))
        server.is_released.set()

        assert client.flush().is_complete
        assert [log["input"] for log in server.logs] == ["0", "1", "2"]

    def test_large_event_is_sent_without_raw_fields(self, recorded: Any) -> None:
        client = phospho.Client(transport=recorded, limits=phospho.Limits(event_bytes=1000))

        client.log(input="short", raw_input="x" * 5000)
        client.log(input="x" * 5000)
        client.flush()

        assert [(log["input"], log["raw_input"]) for log in recorded.logs] == [("short", None)]
        assert client.stats().truncated == 2
        assert client.stats().dropped == {"too_large": 1}
        client.close()

    def test_long_stream_is_cut_at_event_limit(self, recorded: Any) -> None:
        client = phospho.Client(transport=recorded, limits=phospho.Limits(event_bytes=5000))
        stream = phospho.MutableGenerator(iter(["x" * 100] * 1000))

        client.log(input="Hello", output=stream, stream=True)
        assert len(list(stream)) == 1000
        client.flush()

        assert 1000 < len(recorded.logs[0]["output"]) < 5000
        assert recorded.logs[0]["is_truncated"]
        client.close()


class TestThreads:
    def test_events_of_fifty_threads_arrive_once(self, server: Any, make_client: Make) -> None:
        client = make_client()
        start = threading.Barrier(50)

        def work(thread: int) -> None:
            start.wait()
            for number in range(100):
                client.log(input=f"{thread}/{number}", session_id=f"session-{thread}")

        threads = [threading.Thread(target=work, args=(thread,)) for thread in range(50)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert client.flush(timeout=30).is_complete
        assert len(server.logs) == 5000
        assert {log["input"] for log in server.logs} == {f"{t}/{n}" for t in range(50) for n in range(100)}
        of_one = [log["input"] for log in server.logs if log["session_id"] == "session-7"]
        assert of_one == [f"7/{number}" for number in range(100)]

    def test_asyncio_tasks_log_without_blocking_loop(self, server: Any) -> None:
        server.is_released.clear()
        phospho.init(base_url=server.url, tick=0.01)

        async def say(name: str) -> Any:
            for word in ("Hello ", name):
                await asyncio.sleep(0)
                yield word

        async def converse(name: str) -> str:
            stream = phospho.MutableAsyncGenerator(say(name))
            log = phospho.log(input=f"I am {name}", output=stream, stream=True)
            return log["task_id"] + "".join([word async for word in stream])[:0]

        async def main() -> list[str]:
            return await asyncio.wait_for(asyncio.gather(*(converse(f"n{number}") for number in range(100))), 10)

        task_ids = asyncio.run(main())
        server.is_released.set()

        assert sorted(phospho.flush().sent) == sorted(task_ids)
        assert {log["output"] for log in server.logs} == {f"Hello n{number}" for number in range(100)}

    def test_clients_of_one_process_are_independent(self, make_client: Make) -> None:
        transports = [phospho.RecordingTransport(), phospho.RecordingTransport()]
        clients = [make_client(transport=transport) for transport in transports]

        for client, text in zip(clients, ("one", "two"), strict=True):
            client.log(input=text)
            client.flush()

        assert [[log["input"] for log in transport.logs] for transport in transports] == [["one"], ["two"]]


class TestForks:
    def test_forked_worker_sends_only_its_own_logs(self, server: Any) -> None:
        """As with `gunicorn --preload`: init and a first log in the parent, then a fork."""
        result = run_python(
            """
            import os, phospho
            phospho.init(tick=60)
            phospho.log(input="parent")
            pid = os.fork()
            if pid == 0:
                phospho.log(input="child")
                result = phospho.flush()
                os._exit(0 if len(result.sent) == 1 else 1)
            assert os.waitpid(pid, 0)[1] == 0
            assert phospho.flush().is_complete
            """,
            PHOSPHO_BASE_URL=server.url,
        )

        assert result.returncode == 0, result.stderr + result.stdout
        assert sorted(log["input"] for log in server.logs) == ["child", "parent"]

    def test_fork_while_threads_log_does_not_deadlock(self, server: Any) -> None:
        result = run_python(
            """
            import os, threading, phospho
            phospho.init(tick=0.001)
            stop = threading.Event()
            def work():
                while not stop.wait(0.001):
                    phospho.log(input="parent")
            threads = [threading.Thread(target=work) for _ in range(4)]
            for thread in threads: thread.start()
            for _ in range(20):
                pid = os.fork()
                if pid == 0:
                    phospho.log(input="child")
                    result = phospho.flush(timeout=10)
                    if not result.is_complete:
                        print(result, phospho.stats(), flush=True)
                    os._exit(not result.is_complete)
                assert os.waitpid(pid, 0)[1] == 0
            stop.set()
            for thread in threads: thread.join()
            """,
            PHOSPHO_BASE_URL=server.url,
        )

        assert result.returncode == 0, result.stderr + result.stdout
        assert sum(log["input"] == "child" for log in server.logs) == 20

    @pytest.mark.parametrize("method", ["fork", "spawn"])
    def test_multiprocessing_child_sends_before_it_ends(self, server: Any, tmp_path: Path, method: str) -> None:
        program = tmp_path / "program.py"
        program.write_text(MULTIPROCESSING_PROGRAM, encoding="utf-8")

        result = subprocess.run(
            [sys.executable, str(program), method, server.url],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )

        assert result.returncode == 0, result.stderr
        assert [log["input"] for log in server.logs] == ["from the child"]


MULTIPROCESSING_PROGRAM = """
import multiprocessing, sys, phospho

def log_in_child(url):
    phospho.init(base_url=url, tick=60)
    phospho.log(input="from the child")

if __name__ == "__main__":
    process = multiprocessing.get_context(sys.argv[1]).Process(target=log_in_child, args=(sys.argv[2],))
    process.start()
    process.join(20)
    sys.exit(process.exitcode)
"""


class TestExit:
    def test_exit_sends_queued_events_and_unfinished_streams(self, server: Any) -> None:
        result = run_python(
            """
            import phospho
            phospho.init(tick=60)
            phospho.log(input="last words")
            stream = phospho.MutableGenerator(iter(["half ", "a ", "sentence"]))
            phospho.log(input="unfinished", output=stream, stream=True)
            next(stream)
            """,
            PHOSPHO_BASE_URL=server.url,
        )

        assert result.returncode == 0, result.stderr + result.stdout
        assert {(log["input"], log["output"]) for log in server.logs} == {
            ("last words", None),
            ("unfinished", "half "),
        }

    def test_exit_waits_for_hanging_server_within_timeout(self, server: Any) -> None:
        server.is_released.clear()

        began = time.monotonic()
        result = run_python(
            "import phospho; phospho.init(exit_timeout_s=0.5); phospho.log(input='Hello')",
            PHOSPHO_BASE_URL=server.url,
        )

        assert result.returncode == 0, result.stderr + result.stdout
        # The server would let go after 30 s.
        assert time.monotonic() - began < 20

    def test_log_after_close_is_dropped(self, make_client: Make) -> None:
        client = make_client(transport=phospho.RecordingTransport())
        client.close()

        client.log(input="too late")

        assert client.stats().dropped == {"closed": 1}
        assert len(client.log_queue) == 0

    def test_second_init_sends_events_of_first_client(self, server: Any) -> None:
        phospho.init(base_url=server.url, tick=60)
        phospho.log(input="first")

        phospho.init(base_url=server.url, tick=0.01)
        phospho.log(input="second")

        server.wait_for(lambda: len(server.logs) == 2)
        assert sorted(log["input"] for log in server.logs) == ["first", "second"]
