"""Apps on sockets, with background tasks beside them, until the process is asked to stop."""

from __future__ import annotations

import asyncio
import errno
import signal
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

import uvicorn
from starlette.types import ASGIApp

from phospho_cli.processes.background import BackgroundTask, keep_running

# What a request may still take when the process is asked to stop; Kubernetes and Docker wait longer.
_STOP_TIMEOUT_S = 25
_EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104 (compared with, not listened on)


@dataclass(frozen=True)
class ListeningApp:
    """An app and the socket that it answers on."""

    app: ASGIApp
    listener: socket.socket


@dataclass(frozen=True)
class Process:
    """The apps that a process serves, and the tasks beside them by name."""

    apps: Sequence[ListeningApp]
    background: Mapping[str, BackgroundTask] = field(default_factory=dict)


class PortUnavailable(Exception):
    """Another process listens on `port`, or this one may not."""

    def __init__(self, message: str, port: int) -> None:
        super().__init__(message)
        self.port = port


def reachable_host(host: str) -> str:
    """Return the address at which this machine reaches a server that listens on `host`."""
    return "127.0.0.1" if host in _EVERYWHERE else host


def port_of(listener: socket.socket) -> int:
    """Return the port that a socket listens on."""
    port: int = listener.getsockname()[1]
    return port


@contextmanager
def listen(host: str, port: int) -> Iterator[socket.socket]:
    """Yield a socket bound to a port; 0 takes a free one. Raises PortUnavailable."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
        except OSError as error:
            is_in_use = error.errno == errno.EADDRINUSE
            message = f"Port {port} is in use" if is_in_use else f"{host}:{port} is unavailable: {error.strerror}"
            raise PortUnavailable(message, port) from error
        yield listener


@contextmanager
def listen_near(host: str, port: int) -> Iterator[socket.socket]:
    """Yield a socket bound to `port`, or to a free one if that is unavailable."""
    with ExitStack() as stack:
        try:
            listener = stack.enter_context(listen(host, port))
        except PortUnavailable:
            listener = stack.enter_context(listen(host, 0))
        yield listener


async def serve(process: Process, stop_when: Callable[[], asyncio.Event] = asyncio.Event) -> None:
    """
    Serve a process until SIGTERM or SIGINT, or until the event of `stop_when`; open requests end first.

    Its background tasks are cancelled when the apps have stopped.
    """
    servers = [_Server(_config(each.app)) for each in process.apps]
    stop_requested = stop_when()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop_requested.set)
    tasks = [asyncio.create_task(keep_running(name, task)) for name, task in process.background.items()]
    tasks.append(asyncio.create_task(_stop(servers, stop_requested)))
    pairs = zip(servers, process.apps, strict=True)
    await asyncio.gather(*(server.serve([each.listener]) for server, each in pairs))
    for task in tasks:
        task.cancel()


async def _stop(servers: Sequence[uvicorn.Server], stop_requested: asyncio.Event) -> None:
    await stop_requested.wait()
    for server in servers:
        server.should_exit = True


class _Server(uvicorn.Server):
    """A server that leaves signals to the process, which may have more than one of it."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _config(app: ASGIApp) -> uvicorn.Config:
    # No header may say who the client is: the dashboard decides which proxy to believe.
    return uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        ws="none",
        proxy_headers=False,
        timeout_graceful_shutdown=_STOP_TIMEOUT_S,
    )
