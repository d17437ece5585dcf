"""Apps on sockets, with background tasks beside them, until the process is asked to stop."""

from __future__ import annotations

import asyncio
import ctypes
import errno
import gc
import itertools
import logging
import os
import random
import signal
import socket
import threading
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

import click
import uvicorn
from starlette.types import ASGIApp

from phospho_cli.processes.connections import (
    ConnectionLimits,
    bounded_protocol,
    limits_of_process,
    raise_descriptor_limit,
)
from phospho_cli.processes.logs import LogSettings, configure_logs
from phospho_cli.processes.settings import SETTINGS_OF_COMMANDS
from phospho_schemas.settings import load, unknown_variables
from phospho_workers.runtime import metrics

# What an open request may still take when the process is asked to stop, and the process as a whole. Docker Compose
# and Kubernetes wait for 30 s, and kill it then.
_STOP_TIMEOUT_S = 8
_EXIT_TIMEOUT_S = 14.0
_RELEASE_MEMORY_EVERY_S = 30.0
# asyncio accepts as many connections at once, before any of them is looked at; each is a descriptor.
_BACKLOG = 128
# Longer than clients and proxies keep an idle connection (Node 5 s, nginx 60 s), so that they close it and no request
# meets a closing one. Exporters send every 5 s, which is the time that uvicorn keeps one by default.
_KEEP_ALIVE_TIMEOUT_S = 75
_EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104 (compared with, not listened on)

logger = logging.getLogger(__name__)

# It runs until it is cancelled.
BackgroundTask = Callable[[], Coroutine[None, None, None]]

_FIRST_BACKOFF_S = 1.0
_MAX_BACKOFF_S = 300.0

_PACKAGES = (
    "phospho_cli",
    "phospho_dashboard",
    "phospho_gateway",
    "phospho_schemas",
    "phospho_store",
    "phospho_web",
    "phospho_workers",
)
# Batches are thousands of small dictionaries, none of them in a cycle. With Python's own thresholds the collector
# walks them again and again: detection took 15 % longer (tests/benchmarks/detection/speed.py).
_COLLECT_AFTER_ALLOCATIONS = 100_000


@dataclass(frozen=True)
class ListeningApp:
    """An app and the socket that it answers on."""

    app: ASGIApp
    listener: socket.socket


@dataclass(frozen=True)
class Process:
    """The apps that a process serves, each within the limits, and the tasks beside them by name."""

    apps: Sequence[ListeningApp]
    background: Mapping[str, BackgroundTask] = field(default_factory=dict)
    limits: ConnectionLimits = field(default_factory=ConnectionLimits)


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
    """Yield a socket that listens on a port; 0 takes a free one. Connections wait. Raises PortUnavailable."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio sets TCP_NODELAY only on sockets whose protocol says TCP; without it, answers wait 40 ms for an ACK.
    with socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
            # Two sockets may be bound to one port: only the second of two that listen is refused.
            listener.listen()
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


async def serve(
    process: Process,
    stop_when: Callable[[], asyncio.Event] = asyncio.Event,
    on_listening: Callable[[], None] = lambda: None,
) -> None:
    """
    Serve a process until SIGTERM or SIGINT, or until the event of `stop_when`; open requests end first.

    Its background tasks are cancelled when the apps have stopped. `on_listening` is called once, when every app takes
    connections.
    """
    servers = [_Server(_config(each.app, process.limits)) for each in process.apps]
    stop_requested = stop_when()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, _on_signal, stop_requested)
    tasks = [asyncio.create_task(keep_running(name, task)) for name, task in process.background.items()]
    tasks += [asyncio.create_task(_stop(servers, stop_requested)), asyncio.create_task(_release_memory_often())]
    pairs = zip(servers, process.apps, strict=True)
    serving = (server.serve([each.listener]) for server, each in pairs)
    await asyncio.gather(*serving, _when_listening(servers, on_listening))
    for task in tasks:
        task.cancel()


def _on_signal(stop_requested: asyncio.Event) -> None:
    """Stop, and exit in any case after a while: a thread may wait for a query, a job for a provider."""
    stop_requested.set()
    timer = threading.Timer(_EXIT_TIMEOUT_S, _exit_at_once)
    timer.daemon = True
    timer.start()


def _exit_at_once() -> None:
    """End the process as a kill would, which loses nothing that was answered."""
    logger.warning("stopped with work in hand, which is done again after the next start")
    logging.shutdown()
    os._exit(0)


async def _release_memory_often() -> None:
    """
    Give memory back to the system every 30 s.

    The collector comes rarely (see _COLLECT_AFTER_ALLOCATIONS), and glibc keeps what is freed: 1,200 malformed bodies
    took a gateway from 60 to 300 MB.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    while True:
        await asyncio.sleep(_RELEASE_MEMORY_EVERY_S)
        await asyncio.to_thread(gc.collect)
        if trim is not None:
            await asyncio.to_thread(trim, 0)


async def _when_listening(servers: Sequence[_Server], on_listening: Callable[[], None]) -> None:
    for server in servers:
        await server.listening.wait()
    on_listening()


async def _stop(servers: Sequence[uvicorn.Server], stop_requested: asyncio.Event) -> None:
    await stop_requested.wait()
    for server in servers:
        server.should_exit = True


class _Server(uvicorn.Server):
    """
    A server that leaves signals to the process, which may have more than one of it.

    `listening` is set as soon as it takes connections.
    """

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _config(app: ASGIApp, limits: ConnectionLimits) -> uvicorn.Config:
    # No header may say who the client is: the dashboard decides which proxy to believe.
    return uvicorn.Config(
        app,
        log_config=None,
        # Its warnings are of single requests, so strangers could fill the log.
        log_level="error",
        access_log=False,
        http=bounded_protocol(limits_of_process(limits)),
        backlog=_BACKLOG,
        ws="none",
        proxy_headers=False,
        timeout_keep_alive=_KEEP_ALIVE_TIMEOUT_S,
        timeout_graceful_shutdown=_STOP_TIMEOUT_S,
    )


async def keep_running(name: str, task: BackgroundTask) -> None:
    """
    Run a task until cancelled, and restart it whenever it ends.

    An end is logged and counted, and the pause before a restart doubles up to 5 minutes. The apps of the process go on
    meanwhile: they don't depend on it.
    """
    backoff_s = _FIRST_BACKOFF_S
    while True:
        try:
            await task()
            logger.error("%s ended, and restarts in %.0f s", name, backoff_s)
        except Exception as error:
            # The edge of this task.
            logger.error("%s failed, and restarts in %.0f s", name, backoff_s, exc_info=error)
        metrics.BACKGROUND_FAILURES.labels(name).inc()
        await asyncio.sleep(backoff_s * random.uniform(0.5, 1.0))
        backoff_s = min(_MAX_BACKOFF_S, backoff_s * 2)


def run(
    process: Process,
    stop_when: Callable[[], asyncio.Event] = asyncio.Event,
    on_listening: Callable[[], None] = lambda: None,
) -> None:
    """Serve a process as `serve` does, on uvloop where it is installed. Blocks."""
    config = _config(process.apps[0].app, process.limits)
    with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
        runner.run(serve(process, stop_when, on_listening))


@contextmanager
def port_errors(option: str = "--port", make_target: str = "") -> Iterator[None]:
    """Turn an unavailable port into an error that names the option for another, also as `make_target` takes it."""
    try:
        yield
    except PortUnavailable as error:
        another = f"{option} {error.port + 1}" if error.port < 65535 else option
        made = f' (`make {make_target} ARGS="{another}"`)' if make_target else ""
        raise click.ClickException(f"{error}. Start with `{another}`{made}, or stop the other process.") from error
    except OSError as error:
        # Two processes may bind a port that neither listens on yet.
        if error.errno != errno.EADDRINUSE:
            raise
        raise click.ClickException(
            f"Another process took the port in the meantime. Start with another {option}, or stop that process."
        ) from error


def prepare_process(log_level: int) -> None:
    """
    Log as the settings say, ours from `log_level` by default, and collect garbage less often. Raises BadSetting.

    Unknown variables are warned of. The process may open as many files and connections as the system allows.
    """
    raise_descriptor_limit()
    configure_logs(load(LogSettings), _PACKAGES, log_level)
    for sentence in unknown_variables(itertools.chain(*SETTINGS_OF_COMMANDS.values())):
        logger.warning(sentence)
    gc.freeze()
    gc.set_threshold(_COLLECT_AFTER_ALLOCATIONS, 50, 50)
