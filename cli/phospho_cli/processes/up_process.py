"""The parts of `phospho up`, opened one after the other: store, pipeline, jobs, API and pages."""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from phospho_cli.data_folder import DataFolder
from phospho_cli.processes.backend import build_backend, open_kafka
from phospho_cli.processes.dashboard import new_setup_code, with_setup_codes
from phospho_cli.processes.embedded.disk import DiskReserve, prepare_tables
from phospho_cli.processes.embedded.local_definitions import LocalDefinitions
from phospho_cli.processes.embedded.pipeline import Pipeline
from phospho_cli.processes.otlp_grpc import grpc_address, grpc_background, grpc_endpoint
from phospho_cli.processes.serving import ListeningApp, Process, listen_near, port_of, reachable_host
from phospho_cli.processes.settings import LOOPBACK, UpSettings
from phospho_cli.processes.web import open_web
from phospho_dashboard.people.sign_in_pages import OPEN_PATH
from phospho_dashboard.settings import DashboardSettings
from phospho_gateway.settings import KafkaPublisherSettings
from phospho_schemas.ids import HybridClock
from phospho_schemas.messages import Project
from phospho_store.clickhouse import remote
from phospho_store.embedded.backups import back_up
from phospho_store.embedded.engine import ReaderLimits
from phospho_store.embedded.http import ClickHouseHttpSettings, build_app
from phospho_store.migrations import migrate
from phospho_store.registry.authentication import SECRET_TABLES
from phospho_store.registry.definition_sets import DefinitionRepository
from phospho_store.registry.registry import NewKey, first_project
from phospho_store.revisions import last_revision
from phospho_store.store import DATABASE, Store, embedded
from phospho_workers.detection.loader import DefinitionCache
from phospho_workers.detection.stage import Detection
from phospho_workers.extraction.stage import Extraction
from phospho_workers.jobs.registry import ALL_JOBS, CONNECTIONS, running_jobs
from phospho_workers.jobs.settings import JobSettings

if TYPE_CHECKING:
    from phospho_gateway.kafka_publisher import KafkaPublisher

logger = logging.getLogger(__name__)

# Readers of the embedded ClickHouse see every project, but no hash of a key or of a password, nor the addresses of
# webhooks: many a receiver is known by its URL alone.
_READER_SETTINGS = ClickHouseHttpSettings(
    reader_limits=ReaderLimits(
        hidden_tables=frozenset(f"{DATABASE}.{table}" for table in (*SECRET_TABLES, "webhook_rows"))
    )
)


@dataclass(frozen=True)
class UpProcess(Process):
    """
    A `phospho up` that is open, and the addresses and secrets that its start prints.

    `key` is set at the very first start only. `is_api_key_valid` says whether the key of the settings is one.
    `setup_code` makes the first administrator; it is empty where nobody has to sign in, or somebody can already.
    `pages_url` holds the local user's secret where nobody has to sign in.
    """

    base_url: str = field(kw_only=True)
    pages_url: str = field(kw_only=True, repr=False)
    clickhouse_url: str = field(kw_only=True)
    grpc_url: str = field(kw_only=True)
    project: Project = field(kw_only=True)
    key: NewKey | None = field(kw_only=True)
    is_api_key_valid: bool = field(kw_only=True)
    setup_code: str = field(kw_only=True, repr=False)


@contextmanager
def open_process(settings: UpSettings, folder: DataFolder, listener: socket.socket) -> Iterator[UpProcess]:
    """Open everything in a folder that is locked and yield the process; at the end, close all in reverse order."""
    jobs = _with_secret_key(settings, folder)
    with ExitStack() as stack:
        base_url = f"http://{reachable_host(settings.host)}:{port_of(listener)}"
        jobs = replace(
            jobs, pages_url=jobs.pages_url or base_url, price_parameters=settings.dashboard.prices.parameters
        )
        store = stack.enter_context(_open_store(settings, folder))
        clock = HybridClock()
        clock.observe(last_revision(store))
        disk = None if settings.clickhouse else stack.enter_context(_open_disk(settings, store))
        publisher = stack.enter_context(_open_publisher(settings, store, clock, jobs=jobs, disk=disk))
        admin_key = settings.admin_key or stack.enter_context(folder.new_admin_token())
        backend = build_backend(store, publisher, clock, admin_key=admin_key)
        if disk is not None:
            backend = replace(backend, readiness={**backend.readiness, "disk": disk.check})
        project, key = first_project(
            backend.registry, settings.first_project.project_id, settings.first_project.api_key
        )
        needs_setup = not settings.has_open_pages and settings.dashboard.sign_in.has_passwords
        setup_code = new_setup_code(store) if needs_setup else ""
        dashboard = replace(
            with_setup_codes(settings.dashboard, setup_code, admin_key),
            base_url=base_url,
            form_key=admin_key,
            pages_open=settings.has_open_pages,
            local_secret=folder.secret("local-secret") if settings.has_open_pages else "",
        )
        web_app = stack.enter_context(
            open_web(
                backend,
                dashboard=dashboard,
                gateway=settings.gateway,
                jobs=jobs,
                has_pages=True,
                back_up=None if settings.clickhouse else partial(_back_up, store, folder),
            )
        )
        apps = [ListeningApp(web_app, listener)]
        if not settings.clickhouse:
            apps.append(stack.enter_context(_open_clickhouse(settings, folder)))
        stack.enter_context(folder.announced_server(base_url, project.project_id))
        address = grpc_address(settings.host, settings.grpc_port)
        yield UpProcess(
            apps,
            {
                **backend.background_tasks(),
                **backend.enforce_retention(),
                **grpc_background(web_app, address, settings.gateway.max_body_bytes),
            },
            base_url=base_url,
            pages_url=_pages_url(dashboard),
            clickhouse_url=settings.clickhouse.url
            if settings.clickhouse
            else f"http://{LOOPBACK}:{port_of(apps[-1].listener)}",
            grpc_url=grpc_endpoint(address) if address else "",
            project=project,
            key=key,
            is_api_key_valid=backend.registry.key_of_secret(settings.first_project.api_key) is not None,
            setup_code=setup_code,
        )


@contextmanager
def _open_store(settings: UpSettings, folder: DataFolder) -> Iterator[Store]:
    """Yield ClickHouse, the server's or this process' own, with all migrations applied."""
    store = remote(settings.clickhouse) if settings.clickhouse else embedded(folder.engine_path, folder.backups_path)
    try:
        for migration in migrate(store):
            logger.info("applied migration %04d %s", migration.version, migration.name)
        yield store
    finally:
        store.close()


@contextmanager
def _open_disk(settings: UpSettings, store: Store) -> Iterator[DiskReserve]:
    """Yield the reserve of the data folder's disk, watched, and prepare the tables that are on it."""
    prepare_tables(store)
    disk = DiskReserve(store, settings.data_dir, settings.min_free_bytes)
    disk.start()
    try:
        yield disk
    finally:
        disk.close()


@contextmanager
def _open_publisher(
    settings: UpSettings, store: Store, clock: HybridClock, *, jobs: JobSettings, disk: DiskReserve | None
) -> Iterator[Pipeline | KafkaPublisher]:
    """Yield Kafka's publisher, or the pipeline of this process with the jobs beside it."""
    with ExitStack() as stack:
        if settings.kafka:
            yield stack.enter_context(open_kafka(KafkaPublisherSettings(settings.kafka)))
            return
        # Looked at before every batch: a definition holds for the next task.
        definitions = LocalDefinitions(store, DefinitionRepository(store, clock))
        cache = DefinitionCache(definitions, refresh_interval_s=0.0)
        refuse = disk.refuse_if_low if disk is not None else lambda: None
        pipeline = Pipeline(Extraction(), Detection(cache.current), store, clock, refuse=refuse)
        pipeline.start()
        stack.callback(pipeline.close)
        stack.enter_context(running_jobs(ALL_JOBS, store.sibling(CONNECTIONS), clock, jobs))
        yield pipeline


@contextmanager
def _open_clickhouse(settings: UpSettings, folder: DataFolder) -> Iterator[ListeningApp]:
    """Yield the read-only HTTP interface of the embedded ClickHouse, on its port or on a free one."""
    with listen_near(LOOPBACK, settings.clickhouse_port) as listener:
        yield ListeningApp(build_app(folder.engine_path, _READER_SETTINGS), listener)


def _back_up(store: Store, folder: DataFolder, name: str) -> tuple[str, Mapping[str, Any]]:
    """Write a backup into the data folder, and return its folder and its manifest."""
    target = folder.backups_path / name
    return str(target), asdict(back_up(store, target))


def _with_secret_key(settings: UpSettings, folder: DataFolder) -> JobSettings:
    """Return the settings of the jobs with the installation's secret key, or with one from the data folder."""
    if settings.jobs.secret_key or settings.kafka:
        return settings.jobs
    return replace(settings.jobs, secret_key=folder.secret("secret-key"))


def _pages_url(dashboard: DashboardSettings) -> str:
    """Return the URL to open in a browser; for open pages it signs the local user in."""
    secret = dashboard.local_secret
    return f"{dashboard.base_url}{OPEN_PATH}?secret={secret}" if secret else dashboard.base_url
