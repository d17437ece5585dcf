"""Processes end when they are asked to, and their background tasks don't end silently."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import subprocess
import sys

import click
import pytest

from phospho_cli.processes import serving
from phospho_cli.processes.serving import PortUnavailable, keep_running, listen, port_errors, port_of
from phospho_workers.runtime.metrics import REGISTRY


def failures() -> float:
    return REGISTRY.get_sample_value("phospho_background_failures_total", {"name": "scripted"}) or 0.0


async def test_a_task_that_fails_or_returns_is_logged_and_restarts(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(serving, "_FIRST_BACKOFF_S", 0.001)
    starts, goes_on = [], asyncio.Event()
    before = failures()

    async def task() -> None:
        starts.append(len(starts))
        if len(starts) == 1:
            raise ValueError("a fault of ours")
        if len(starts) == 3:
            goes_on.set()
            await asyncio.Event().wait()

    with caplog.at_level(logging.ERROR, logger="phospho_cli"):
        running = asyncio.create_task(keep_running("scripted", task))
        await asyncio.wait_for(goes_on.wait(), 10)

    assert failures() == before + 2
    logged = [record.getMessage().split(",")[0] for record in caplog.records]
    assert logged == ["scripted failed", "scripted ended"]
    assert "a fault of ours" in caplog.text

    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert len(starts) == 3


def test_process_with_a_blocked_thread_ends_after_sigterm() -> None:
    code = """
import threading
from starlette.applications import Starlette
from phospho_cli.processes import serving

serving._EXIT_TIMEOUT_S = 0.2
threading.Thread(target=threading.Event().wait).start()

async def background():
    print("runs", flush=True)
    await serving.asyncio.Event().wait()

with serving.listen("127.0.0.1", 0) as listener:
    serving.run(serving.Process([serving.ListeningApp(Starlette(), listener)], {"background": background}))
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"runs\n"
        process.send_signal(signal.SIGTERM)

        assert process.wait(60) == 0


def test_accepted_connections_send_small_responses_at_once() -> None:
    """On asyncio's own loop; uvloop sets TCP_NODELAY by itself."""

    async def nodelay_of_accepted() -> int:
        accepted: asyncio.Future[asyncio.StreamWriter] = asyncio.get_running_loop().create_future()
        with serving.listen("127.0.0.1", 0) as listener:
            server = await asyncio.start_server(lambda _, writer: accepted.set_result(writer), sock=listener)
            _, client = await asyncio.open_connection("127.0.0.1", serving.port_of(listener))
            socket_of_server = (await accepted).get_extra_info("socket")
            option: int = socket_of_server.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            client.close()
            (await accepted).close()
            server.close()
            return option

    assert asyncio.run(nodelay_of_accepted())


def test_run_announces_sockets_that_take_connections() -> None:
    code = """
import os
import signal
import socket
from starlette.applications import Starlette
from phospho_cli.processes import serving

def connect():
    for app in process.apps:
        socket.create_connection(app.listener.getsockname(), 5).close()
    print("connected")
    os.kill(os.getpid(), signal.SIGTERM)

with serving.listen("127.0.0.1", 0) as first, serving.listen("127.0.0.1", 0) as second:
    process = serving.Process([serving.ListeningApp(Starlette(), listener) for listener in (first, second)])
    serving.run(process, on_listening=connect)
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)

    assert (ended.returncode, ended.stdout) == (0, "connected\n"), ended.stderr


def test_port_error_names_the_option_for_phospho_and_for_make() -> None:
    with pytest.raises(click.ClickException) as raised, port_errors(make_target="up"):
        raise PortUnavailable("Port 8420 is in use", 8420)

    assert 'Start with `--port 8421` (`make up ARGS="--port 8421"`), or' in raised.value.message


def test_port_that_a_process_has_is_unavailable_before_it_serves() -> None:
    with listen("127.0.0.1", 0) as listener, pytest.raises(PortUnavailable), listen("127.0.0.1", port_of(listener)):
        pass
