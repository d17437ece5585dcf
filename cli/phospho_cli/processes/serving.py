"""Apps on sockets until the process is asked to stop."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from types import MappingProxyType

import uvicorn
from starlette.types import ASGIApp

from phospho_cli.processes.background import BackgroundTask, kept_running

# What a request may still take when the process is asked to stop; Kubernetes and Docker wait longer.
_STOP_TIMEOUT_S = 25
_EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104 (compared with, not listened on)
_NO_TASKS: Mapping[str, BackgroundTask] = MappingProxyType({})


@dataclass(frozen=True)
class Served:
    """An app and the socket that it answers on."""

    app: ASGIApp
    door: socket.socket


class PortTaken(Exception):
    """Another program listens on the port, or this one may not."""


def shown_host(host: str) -> str:
    """Return the address by which this machine itself reaches a server that listens on `host`."""
    return "127.0.0.1" if host in _EVERYWHERE else host


@contextmanager
def listen(host: str, port: int) -> Iterator[socket.socket]:
    """Listen on a port; 0 takes a free one. Raises PortTaken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as door:
        door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            door.bind((host, port))
        except OSError as error:
            raise PortTaken(f"{host}:{port} can't be listened on: {error.strerror}") from error
        yield door


@contextmanager
def listen_near(host: str, port: int) -> Iterator[socket.socket]:
    """Listen on `port`, or on a free one where it is taken."""
    with ExitStack() as stack:
        try:
            door = stack.enter_context(listen(host, port))
        except PortTaken:
            door = stack.enter_context(listen(host, 0))
        yield door


async def serve(
    apps: Sequence[Served],
    background: Mapping[str, BackgroundTask] = _NO_TASKS,
    stop_when: Callable[[], asyncio.Event] = asyncio.Event,
) -> None:
    """
    Serve every app until SIGTERM or SIGINT, or until the event of `stop_when`; what has begun is finished first.

    The jobs of `background`, by name, run beside them, and are cancelled when they have stopped.
    """
    servers = [_Server(_config(served.app)) for served in apps]
    asked = stop_when()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, asked.set)
    tasks = [asyncio.create_task(kept_running(name, job)) for name, job in background.items()]
    stopping = asyncio.create_task(_stop(servers, asked))
    await asyncio.gather(*(server.serve([served.door]) for server, served in zip(servers, apps, strict=True)))
    for task in (*tasks, stopping):
        task.cancel()


async def _stop(servers: Sequence[uvicorn.Server], asked: asyncio.Event) -> None:
    await asked.wait()
    for server in servers:
        server.should_exit = True


class _Server(uvicorn.Server):
    """A server that leaves signals to the process, which may have more than one of it."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _config(app: ASGIApp) -> uvicorn.Config:
    # No header may say who the client is: whoever must know decides which proxy to believe.
    return uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        ws="none",
        proxy_headers=False,
        timeout_graceful_shutdown=_STOP_TIMEOUT_S,
    )
