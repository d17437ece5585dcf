"""Ends of processes, and clients that an app makes for each request: nothing is lost, and no thread stays."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import pytest

import phospho
from phospho._default.state import STATE

ENDS = """
import multiprocessing, os, signal, sys, time
import phospho

phospho.init(base_url=sys.argv[1], tick=60, exit_timeout_s=60)

def log(name):
    phospho.log(input=name)

def forked(name, end):
    child = os.fork()
    if child == 0:
        log(name)
        end()
    os.waitpid(child, 0)

def terminated():
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(60)

def raised():
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.raise_signal(signal.SIGTERM)

forked("raise_signal, as uvicorn's workers", raised)
forked("os._exit, as RQ's work horse", lambda: os._exit(0))
forked("SIGTERM", terminated)
fork = multiprocessing.get_context("fork")
process = fork.Process(target=log, args=("multiprocessing.Process",))
process.start(); process.join()
with fork.Pool(1, maxtasksperchild=1) as pool:
    pool.map(log, ["Pool with maxtasksperchild"]); pool.close(); pool.join()
with fork.Pool(1) as pool:
    pool.map(log, ["Pool that is terminated"])
log("the parent")
"""


def test_no_end_of_a_process_loses_logs(server: Any) -> None:
    subprocess.run([sys.executable, "-c", ENDS, server.url], check=True, timeout=100, capture_output=True)

    assert sorted(log["input"] for log in server.logs) == [
        "Pool that is terminated",
        "Pool with maxtasksperchild",
        "SIGTERM",
        "multiprocessing.Process",
        "os._exit, as RQ's work horse",
        "raise_signal, as uvicorn's workers",
        "the parent",
    ]


def test_sigterm_still_ends_the_process_as_a_signal_does(server: Any) -> None:
    program = "import os, phospho, signal, time; phospho.init(); os.kill(os.getpid(), signal.SIGTERM); time.sleep(60)"

    ended = subprocess.run([sys.executable, "-c", program], timeout=60, check=False, capture_output=True)

    assert ended.returncode == -15


def test_end_of_a_process_warns_of_what_it_loses() -> None:
    settings = "base_url='http://127.0.0.1:1', api_key='k', exit_timeout_s=0.3"
    program = f"import phospho; phospho.init({settings}); phospho.log(input='a')"

    ended = subprocess.run([sys.executable, "-c", program], timeout=60, check=True, capture_output=True, text=True)

    refused, lost = ended.stderr.splitlines()
    assert "at http://127.0.0.1:1. Start phospho there, or set PHOSPHO_BASE_URL" in refused
    assert lost.startswith("phospho: 1 event(s) are lost at the end of the process: not sent within 0.3 s.")


def sender_threads() -> int:
    return sum(thread.name == "phospho-sender" for thread in threading.enumerate())


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert condition()


@pytest.fixture(autouse=True)
def _no_thread_before() -> None:
    STATE.exchange(None)
    gc.collect()
    wait_until(lambda: sender_threads() == 0)


def test_dropped_clients_send_their_logs_and_end(server: Any) -> None:
    for number in range(20):
        phospho.Client(base_url=server.url, api_key="k", tick=60).log(input=str(number))

    wait_until(lambda: len(server.logs) == 20)
    wait_until(lambda: sender_threads() == 0)


def test_dropped_clients_send_their_logs_together(server: Any) -> None:
    answered = threading.Event()
    server.script = lambda request: answered.wait(30) and None
    for number in range(50):
        phospho.Client(base_url=server.url, api_key="k", tick=60).log(input=str(number))
    answered.set()

    wait_until(lambda: len(server.logs) == 50)
    assert len(server.requests) < 10


def test_dropped_clients_share_one_thread_while_the_server_is_away(server: Any) -> None:
    server.script = lambda request: server.error(503)
    for number in range(20):
        phospho.Client(base_url=server.url, api_key="k", tick=0.01).log(input=str(number))

    wait_until(lambda: sender_threads() == 1)
    refused = len(server.requests)
    server.script = lambda request: None

    wait_until(lambda: sender_threads() == 0)
    arrived = {event["input"] for request in server.requests[refused:] for event in request.document["events"]}
    assert len(arrived) == 20


def test_log_that_a_new_init_overtakes_is_sent(server: Any) -> None:
    client = phospho.Client(base_url=server.url, api_key="k", tick=0)
    client.log(input="before")
    client.retire()
    wait_until(lambda: sender_threads() == 0)

    client.log(input="after")

    wait_until(lambda: [log["input"] for log in server.logs] == ["before", "after"])
    wait_until(lambda: sender_threads() == 0)
    assert client.stats().dropped == {}


def test_idle_thread_ends_and_the_next_log_starts_another(server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("phospho._delivery.sender_thread.IDLE_S", 0.05)
    client = phospho.Client(base_url=server.url, api_key="k", tick=0)
    for number in range(3):
        client.log(input=str(number))
        wait_until(lambda: sender_threads() == 0)

    assert [log["input"] for log in server.logs] == ["0", "1", "2"]
    assert client.stats().sent == 3


def test_locks_are_those_of_gevent_after_it_has_patched_threading(server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    client = phospho.Client(base_url=server.url, api_key="k", tick=0)
    # As `gevent.monkey` does, in a worker of gunicorn that has loaded the app before.
    monkeypatch.setattr(threading, "_CRLock", None)
    client.log(input="a")

    assert client.flush().is_complete
    assert client._pipeline.sender._thread.lock_kind is threading._PyRLock


@pytest.mark.parametrize("is_streaming", [False, True])
def test_client_dropped_while_idle_closes_its_transport(monkeypatch: pytest.MonkeyPatch, is_streaming: bool) -> None:
    monkeypatch.setattr("phospho._delivery.sender_thread.IDLE_S", 0.05)
    transport = _Transport()
    client = phospho.Client(transport=transport, tick=0)
    client.log(input="whole")
    if is_streaming:
        client.log(input="a stream", output="its beginning", to_log=False)
    wait_until(lambda: sender_threads() == 0)

    del client
    gc.collect()

    wait_until(lambda: transport.closed == 1)
    assert transport.inputs == ["whole", "a stream"][: 1 + is_streaming]


class _Transport(phospho.Transport):
    def __init__(self) -> None:
        self.inputs: list[str] = []
        self.closed = 0

    def send(self, events: Sequence[Any]) -> list[phospho.Outcome]:
        self.inputs += [event.content["input"] for event in events]
        return [phospho.Outcome.accepted() for _ in events]

    def close(self) -> None:
        self.closed += 1


def test_clients_of_one_server_share_a_thread(server: Any) -> None:
    clients = [phospho.Client(base_url=server.url, api_key=f"k{number % 3}", tick=0.01) for number in range(50)]
    for client in clients:
        client.log(input="a")
    assert sender_threads() == 1

    assert all(client.flush().is_complete for client in clients)
    for client in clients[:25]:
        client.log(input="b")
        assert client.close().is_complete
    for client in clients[25:]:
        client.log(input="b")
    assert sender_threads() == 1
    assert all(client.flush().is_complete for client in clients[25:])
    assert len(server.logs) == 100


def test_client_whose_events_fail_holds_up_no_other(server: Any) -> None:
    server.script = lambda request: server.error(500) if "bad" in str(request.document) else None
    failing, other = (phospho.Client(base_url=server.url, api_key="k", tick=0.01) for _ in range(2))
    failing.log(input="bad")
    wait_until(lambda: failing.stats().retried != {})

    other.log(input="good")

    assert other.flush().is_complete
    assert (failing.stats().queued, sender_threads()) == (1, 1)
    failing.close(timeout=0)


def test_second_close_waits_for_nothing(server: Any) -> None:
    client = phospho.Client(base_url="http://127.0.0.1:1", api_key="k", tick=0.01)
    client.log(input="a")
    assert client.close(timeout=0).pending

    began = time.monotonic()
    client.close(timeout=20)

    assert time.monotonic() - began < 15
