"""`phospho up`: everything in one process, or the same gateway and pages in front of real servers."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import secrets
import signal
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp

from phospho_gateway.publisher_kafka import KafkaPublisher
from phospho_gateway.settings import KafkaPublisherSettings
from phospho_schemas.ids import HybridClock
from phospho_schemas.messages import Project
from phospho_store.auth import Authenticator
from phospho_store.bootstrap import first_project
from phospho_store.migrations import migrate
from phospho_store.registry import NewKey, Registry
from phospho_store.store import DATABASE, Store, embedded, remote
from phospho_workers.detection.loader import DefinitionCache
from phospho_workers.detection.stage import Detection
from phospho_workers.embedded.clickhouse_engine import ReaderLimits
from phospho_workers.embedded.clickhouse_http import ClickHouseHttpSettings, build_app
from phospho_workers.embedded.pipeline import Pipeline
from phospho_workers.embedded.wiring import Web, web_app
from phospho_workers.extraction.stage import Extraction

logger = logging.getLogger("phospho.up")

LOOPBACK = "127.0.0.1"

# Who may read the embedded ClickHouse may read every project, but no hash of a key.
_READER_LIMITS = ReaderLimits(hidden_tables=frozenset({f"{DATABASE}.api_key_rows"}))


@dataclass(frozen=True)
class UpSettings:
    """
    Where `phospho up` listens and stores. Port 0 takes a free one.

    With `kafka` and `clickhouse` (bootstrap servers, URL) it writes to Kafka and reads ClickHouse, and workers run
    elsewhere; without, both are inside this process. `project_id` and `api_key` name the first project and its key.
    """

    data_dir: Path
    host: str = LOOPBACK
    port: int = 8420
    clickhouse_port: int = 8123
    kafka: str | None = None
    clickhouse: str | None = None
    project_id: str = ""
    api_key: str = field(default="", repr=False)
    admin_key: str = field(default="", repr=False)


@dataclass(frozen=True)
class Running:
    """What a started `phospho up` tells: `key` is there at the very first start only."""

    base_url: str
    clickhouse_url: str
    project: Project
    key: NewKey | None


class PortTaken(Exception):
    """Another program listens on the port."""


@contextmanager
def open_app(settings: UpSettings) -> Iterator[tuple[list[tuple[ASGIApp, socket.socket]], Running]]:
    """Open the store, start the pipeline, and yield the apps with their sockets; at the end, close all in order."""
    settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    with ExitStack() as stack:
        door = stack.enter_context(_listen(settings.host, settings.port))
        path = str(settings.data_dir / "clickhouse")
        store = remote(settings.clickhouse) if settings.clickhouse else embedded(path)
        stack.callback(store.close)
        for migration in migrate(store):
            logger.info("applied migration %04d %s", migration.version, migration.name)
        clock = HybridClock()
        clock.observe(_last_revision(store))
        registry = Registry(store, clock)
        project, key = first_project(registry, settings.project_id, settings.api_key)
        publisher = _publisher(settings, store, registry, clock, stack)
        admin_key = settings.admin_key or stack.enter_context(_admin_token(settings.data_dir))
        base_url = f"http://{settings.host}:{door.getsockname()[1]}"
        web = Web(base_url, has_pages=True, pages_open=settings.host == LOOPBACK)
        authenticator = Authenticator(registry, admin_secret=admin_key)
        readiness = {"pipeline" if settings.kafka is None else "kafka": publisher.check}
        apps = [(web_app(web, store, publisher, clock, authenticator, readiness), door)]
        clickhouse_url = settings.clickhouse or ""
        if not settings.clickhouse:
            side_door = stack.enter_context(_listen_near(LOOPBACK, settings.clickhouse_port))
            apps.append((build_app(path, ClickHouseHttpSettings(reader_limits=_READER_LIMITS)), side_door))
            clickhouse_url = f"http://{LOOPBACK}:{side_door.getsockname()[1]}"
        running = Running(base_url, clickhouse_url, project, key)
        stack.enter_context(_server_file(settings.data_dir, running))
        yield apps, running


async def serve(apps: list[tuple[ASGIApp, socket.socket]]) -> None:
    """Serve every app until SIGTERM or SIGINT; requests that have begun are answered first."""
    servers = [_Server(uvicorn.Config(app, log_level="warning", access_log=False, ws="none")) for app, _ in apps]

    def stop() -> None:
        for server in servers:
            server.should_exit = True

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop)
    await asyncio.gather(*(server.serve([door]) for server, (_, door) in zip(servers, apps, strict=True)))


class _Server(uvicorn.Server):
    """A server that leaves signals to the process, which has more than one of it."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _publisher(
    settings: UpSettings, store: Store, registry: Registry, clock: HybridClock, stack: ExitStack
) -> Pipeline | KafkaPublisher:
    if settings.kafka is not None:
        publisher = KafkaPublisher(KafkaPublisherSettings(bootstrap_servers=settings.kafka))
        stack.callback(publisher.close, 30.0)
        return publisher
    # Asked at every batch: in this process the question costs less than a millisecond.
    cache = DefinitionCache(registry.definitions_revision, registry.definitions, refresh_interval_s=0.0)
    pipeline = Pipeline(Extraction(), Detection(cache.current), store, clock)
    pipeline.start()
    stack.callback(pipeline.close)
    return pipeline


def _last_revision(store: Store) -> int:
    tables = ("task_rows", "feedback_rows", "definition_rows", "project_rows", "api_key_rows")
    query = " UNION ALL ".join(f"SELECT max(revision) AS revision FROM {table}" for table in tables)
    return max(int(row["revision"]) for row in store.rows(query))


@contextmanager
def _listen(host: str, port: int) -> Iterator[socket.socket]:
    door = socket.socket()
    door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        door.bind((host, port))
    except OSError as error:
        door.close()
        raise PortTaken(f"{host}:{port} can't be listened on: {error.strerror}") from error
    with door:
        yield door


@contextmanager
def _listen_near(host: str, port: int) -> Iterator[socket.socket]:
    """Listen on `port`, or on a free one where it is taken, as by a ClickHouse server."""
    with ExitStack() as stack:
        try:
            door = stack.enter_context(_listen(host, port))
        except PortTaken:
            door = stack.enter_context(_listen(host, 0))
        yield door


@contextmanager
def _admin_token(data_dir: Path) -> Iterator[str]:
    """Make the administrator's token of this run; the file is readable by its owner alone, and goes with the run."""
    token = "ph_admin_" + secrets.token_urlsafe(32)
    path = data_dir / "admin-token"
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(token)
    try:
        yield token
    finally:
        path.unlink(missing_ok=True)


@contextmanager
def _server_file(data_dir: Path, running: Running) -> Iterator[None]:
    """Tell client commands in the same folder where the server is."""
    path = data_dir / "server.json"
    document = {"base_url": running.base_url, "project_id": running.project.project_id, "pid": os.getpid()}
    path.write_text(json.dumps(document))
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
