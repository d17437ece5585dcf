"""`phospho up`: everything in one process, or the same gateway and pages in front of real servers."""

from __future__ import annotations

import json
import logging
import os
import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from phospho_cli.processes.background import BackgroundTask
from phospho_cli.processes.pipeline import Pipeline
from phospho_cli.processes.serving import Served, listen, listen_near, shown_host
from phospho_cli.processes.wiring import Proxy, Web, pages_url, setup_code, sign_in_settings, tools_of, web_app
from phospho_dashboard.analytics.prices import Prices
from phospho_gateway.publishing.kafka import KafkaPublisher
from phospho_gateway.settings import GatewaySettings, KafkaPublisherSettings
from phospho_schemas.ids import HybridClock, newest_revision
from phospho_schemas.messages import Project
from phospho_store.embedded.engine import ReaderLimits
from phospho_store.embedded.http import ClickHouseHttpSettings, build_app
from phospho_store.migrations import migrate
from phospho_store.registry.authentication import SECRET_TABLES, Authenticator
from phospho_store.registry.bootstrap import first_project
from phospho_store.registry.instructions import InstructionBook
from phospho_store.registry.quotas import DailyQuotas, keep_fresh
from phospho_store.registry.registry import NewKey, Registry
from phospho_store.retention import enforce_hourly
from phospho_store.store import DATABASE, Store, embedded, remote
from phospho_workers.detection.loader import DefinitionCache
from phospho_workers.detection.stage import Detection
from phospho_workers.extraction.stage import Extraction
from phospho_workers.jobs.registry import CONNECTIONS, JOBS, running
from phospho_workers.jobs.settings import JobSettings

logger = logging.getLogger(__name__)

LOOPBACK = "127.0.0.1"

# Who may read the embedded ClickHouse may read every project, but no hash of a key or of a password, nor the addresses
# of webhooks: many a receiver is known by its URL alone.
_READER_SETTINGS = ClickHouseHttpSettings(
    reader_limits=ReaderLimits(
        hidden_tables=frozenset(f"{DATABASE}.{table}" for table in (*SECRET_TABLES, "webhook_rows"))
    )
)


@dataclass(frozen=True)
class UpSettings:
    """
    Where `phospho up` listens and stores. Port 0 takes a free one.

    With `kafka` and `clickhouse` (bootstrap servers, URL) it writes to Kafka and reads ClickHouse, and workers run
    elsewhere; without, both are inside this process. `project_id` and `api_key` name the first project and its key;
    `prices` are what models cost, for the pages.
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
    gateway: GatewaySettings = field(default_factory=GatewaySettings)
    prices: Prices = field(default_factory=Prices)
    # On loopback the local user is signed in, unless this says that others come too, as through a proxy.
    must_sign_in: bool = False
    proxy: Proxy | None = None
    jobs: JobSettings = field(default_factory=JobSettings)

    @property
    def is_open(self) -> bool:
        """Tell whether who reaches the pages is the local user, without signing in."""
        return self.host == LOOPBACK and not self.must_sign_in


@dataclass(frozen=True)
class Running:
    """
    An opened `phospho up`: what it serves, what runs beside it, and what it tells.

    `key` is there at the very first start only. `is_api_key_known` says whether the key of the settings is one.
    `setup_code` makes the first administrator; it is empty where nobody has to sign in, or somebody can already.
    `pages_url` is what to open in a browser: where nobody has to sign in, it holds the local user's secret.
    """

    apps: Sequence[Served]
    background: Mapping[str, BackgroundTask]
    base_url: str
    pages_url: str = field(repr=False)
    clickhouse_url: str
    project: Project
    key: NewKey | None
    is_api_key_known: bool
    setup_code: str


@contextmanager
def open_app(settings: UpSettings) -> Iterator[Running]:
    """Open the store, start the pipeline, and yield what is to be served; at the end, close all in order."""
    settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    settings = replace(settings, jobs=_with_secret(settings))
    with ExitStack() as stack:
        door = stack.enter_context(listen(settings.host, settings.port))
        base_url = f"http://{shown_host(settings.host)}:{door.getsockname()[1]}"
        store = _open_store(settings, stack)
        clock = HybridClock()
        clock.observe(last_revision(store, newest_revision(time.time_ns() // 1_000_000)))
        registry = Registry(store, clock)
        project, key = first_project(registry, settings.project_id, settings.api_key)
        known = bool(settings.api_key) and registry.key_of_secret(settings.api_key) is not None
        publisher = _publisher(settings, store, registry, clock, stack)
        admin_key = settings.admin_key or stack.enter_context(_admin_token(settings.data_dir))
        code = "" if settings.is_open else setup_code(store)
        local_secret = _kept_secret(settings.data_dir / "local-secret") if settings.is_open else ""
        web = Web(
            base_url,
            has_pages=True,
            pages_open=settings.is_open,
            local_secret=local_secret,
            prices=settings.prices,
            sign_in=sign_in_settings([code, admin_key], settings.proxy),
            form_key=admin_key,
        )
        readiness = {"pipeline" if settings.kafka is None else "kafka": publisher.check}
        authenticator = Authenticator(registry, admin_secret=admin_key)
        quotas = DailyQuotas(store, registry)
        tools = tools_of(store, clock, settings.jobs)
        app = web_app(web, store, publisher, clock, authenticator, readiness, settings.gateway, quotas, tools)
        apps = [Served(stack.enter_context(app), door)]
        clickhouse_url = settings.clickhouse or ""
        if not settings.clickhouse:
            side_door = stack.enter_context(listen_near(LOOPBACK, settings.clickhouse_port))
            clickhouse_url = f"http://{LOOPBACK}:{side_door.getsockname()[1]}"
            apps.append(Served(build_app(_engine_path(settings), _READER_SETTINGS), side_door))
        background = {"retention": partial(enforce_hourly, store, registry), "quotas": partial(keep_fresh, quotas)}
        running = Running(apps, background, base_url, pages_url(web), clickhouse_url, project, key, known, code)
        stack.enter_context(_server_file(settings.data_dir, running))
        yield running


def _open_store(settings: UpSettings, stack: ExitStack) -> Store:
    store = remote(settings.clickhouse) if settings.clickhouse else embedded(_engine_path(settings))
    stack.callback(store.close)
    for migration in migrate(store):
        logger.info("applied migration %04d %s", migration.version, migration.name)
    return store


def _engine_path(settings: UpSettings) -> str:
    return str(settings.data_dir / "clickhouse")


def _publisher(
    settings: UpSettings, store: Store, registry: Registry, clock: HybridClock, stack: ExitStack
) -> Pipeline | KafkaPublisher:
    if settings.kafka is not None:
        publisher = KafkaPublisher(KafkaPublisherSettings(bootstrap_servers=settings.kafka))
        stack.callback(publisher.close, 30.0)
        return publisher
    # Asked at every batch: in this process the question costs less than a millisecond.
    cache = DefinitionCache(InstructionBook(store, clock), refresh_interval_s=0.0)
    pipeline = Pipeline(Extraction(), Detection(cache.current), store, clock)
    pipeline.start()
    stack.callback(pipeline.close)
    followed = store.sibling(CONNECTIONS)
    stack.enter_context(running(list(JOBS), followed, clock, settings.jobs))
    return pipeline


def _with_secret(settings: UpSettings) -> JobSettings:
    """Return the settings of the jobs with a secret: the one given, or that of the folder, made at first."""
    if settings.jobs.secret_key or settings.kafka is not None:
        return settings.jobs
    return replace(settings.jobs, secret_key=_kept_secret(settings.data_dir / "secret-key"))


def _kept_secret(path: Path) -> str:
    """Return the secret in a file, made at first: its owner alone can read it, and it stays from run to run."""
    if not path.exists():
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_urlsafe(32))
    return path.read_text().strip()


def last_revision(store: Store, newest: int) -> int:
    """Return the greatest revision that is stored and at most `newest`; what is beyond, somebody else has made up."""
    tables = ("task_rows", "feedback_rows", "definition_rows", "project_rows", *SECRET_TABLES)
    query = " UNION ALL ".join(
        f"SELECT max(revision) AS last FROM {table} WHERE revision <= {{newest:UInt64}}" for table in tables
    )
    return max(int(row["last"]) for row in store.rows(query, {"newest": newest}))


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
