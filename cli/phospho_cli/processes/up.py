"""`phospho up`: the whole pipeline in one process, or the same API and pages in front of real servers."""

from __future__ import annotations

import logging
import shlex
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from textwrap import indent
from typing import TYPE_CHECKING, Any

import click
from pydantic import ValidationError

from phospho_cli.data_folder import DataFolder, FolderInUse
from phospho_cli.options import settings_options, variables_help
from phospho_cli.processes.backend import build_backend, open_kafka
from phospho_cli.processes.dashboard import new_setup_code, with_setup_codes
from phospho_cli.processes.embedded.disk import DiskReserve, sync_inserts
from phospho_cli.processes.embedded.local_definitions import LocalDefinitions
from phospho_cli.processes.embedded.pipeline import Pipeline
from phospho_cli.processes.otlp_grpc import grpc_address, grpc_background, grpc_endpoint
from phospho_cli.processes.serving import (
    ListeningApp,
    Process,
    listen,
    listen_near,
    port_errors,
    port_of,
    prepare_process,
    reachable_host,
    run,
)
from phospho_cli.processes.settings import LOOPBACK, UpSettings
from phospho_cli.processes.web import open_web
from phospho_dashboard.people.sign_in_pages import OPEN_PATH
from phospho_dashboard.settings import DashboardSettings
from phospho_gateway.settings import KafkaPublisherSettings
from phospho_schemas.ids import HybridClock
from phospho_schemas.messages import Project, ProjectSettings
from phospho_schemas.settings import BadSetting
from phospho_store.clickhouse import remote
from phospho_store.embedded.backups import back_up
from phospho_store.embedded.engine import ReaderLimits
from phospho_store.embedded.http import ClickHouseHttpSettings, build_app
from phospho_store.errors import IncompatibleStore, StoreError
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
from phospho_workers.judging.settings import LlmSettings

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


@click.command(epilog=variables_help(UpSettings))
@settings_options(UpSettings)
def up(settings: UpSettings) -> None:
    """
    Run the whole pipeline, its API and its pages in one process, with nothing else installed.

    With --kafka and --clickhouse the same API and pages run in front of real servers, and `phospho worker` does the
    rest. PHOSPHO_PROJECT_ID and PHOSPHO_API_KEY name the first project and its key if set at the first start.

    \b
      phospho up
      phospho up --data /var/lib/phospho --port 8500
      phospho up --kafka localhost:9092 --clickhouse http://localhost:8123
    """
    prepare_process(logging.WARNING)
    try:
        with port_errors(make_target="up"), open_up(settings) as process:
            run(process, on_listening=partial(_print_start, settings, process))
            click.echo("Stopped. Every accepted log is stored.")
    except ValidationError as error:
        reasons = "; ".join(reason["msg"] for reason in error.errors())
        raise BadSetting(
            f"PHOSPHO_PROJECT_ID={settings.first_project.project_id!r} can't be used: {reasons}."
        ) from error
    except FolderInUse as error:
        address = DataFolder(settings.data_dir).running_server().get("base_url")
        where = f" It is at {address}." if address else ""
        raise click.ClickException(f"{error}{where} Stop it, or give another folder with --data.") from error
    except OSError as error:
        raise click.ClickException(
            f"The folder {settings.data_dir} can't be used: {error.strerror}. Give another with --data."
        ) from error
    except StoreError as error:
        raise click.ClickException(f"The store can't be opened: {error}{_advice(settings, error)}") from error


def _advice(settings: UpSettings, error: StoreError) -> str:
    """Return the end of the sentence that says why the store can't be opened."""
    if isinstance(error, IncompatibleStore):
        return (
            f"; drop the database {settings.clickhouse.database!r}."
            if settings.clickhouse
            else "; use another --data folder."
        )
    return "."


def _print_start(settings: UpSettings, process: UpProcess) -> None:
    env_file = DataFolder(settings.data_dir.resolve()).write_client_env(
        process.base_url, process.project.project_id, process.key.secret if process.key else None
    )
    lines = [
        ("Pages", process.pages_url),
        ("Ingest", f"{process.base_url}/api/v1/events"),
        ("API docs", f"{process.base_url}/docs"),
        ("OTLP", f"{process.base_url}/v1/traces" + (f", gRPC {process.grpc_url}" if process.grpc_url else "")),
        ("ClickHouse", process.clickhouse_url.split("@")[-1]),
        ("Project", process.project.project_id),
        ("Data", str(settings.data_dir.resolve())),
    ]
    if env_file is None:
        lines.append(("API key", _key_line(settings, process)))
    if settings.jobs.judging.llm is not None:
        lines.append(("LLM", _llm_line(settings.jobs.judging.llm, process.project.settings)))
    if process.setup_code:
        lines.insert(1, ("First admin", f"{process.base_url}/setup with the code {process.setup_code}"))
    click.echo("phospho is up. Ctrl-C stops it.\n")
    for name, value in lines:
        click.echo(f"  {name:<13}{value}")
    click.echo("\nNext:")
    click.echo(f"  1. Open {process.pages_url}")
    if env_file is not None:
        click.echo(f"  2. In your app's terminal, paste these lines, or run `. {shlex.quote(str(env_file))}`:\n")
        click.echo(indent(env_file.read_text("utf-8"), "     "))
    click.echo(
        f"  In a second terminal: `{_command()} demo` writes sample data, `{_command()} import FILE` your old logs.\n"
    )


def _command() -> str:
    """Return how a person starts this command again: by the path of its script, where it has one."""
    return sys.argv[0] if Path(sys.argv[0]).name == "phospho" else "phospho"


def _llm_line(llm: LlmSettings, budget: ProjectSettings) -> str:
    if not budget.llm_daily_tokens:
        return "off: the judge budget of the project is 0 (llm_daily_tokens)"
    money = f" or ${budget.llm_daily_usd:.2f}" if budget.llm_daily_usd else ""
    return (
        f"{llm.model} at {llm.host} judges uncertain events of the last day's tasks, for at most"
        f" {budget.llm_daily_tokens:,} tokens{money} a day (phospho llm usage)"
    )


def _key_line(settings: UpSettings, process: UpProcess) -> str:
    if settings.first_project.api_key and not process.is_api_key_valid:
        return (
            "not PHOSPHO_API_KEY, which only names the first key at the first start; for another: phospho keys create"
        )
    return "as made at the first start; for another: phospho keys create"


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
def open_up(settings: UpSettings) -> Iterator[UpProcess]:
    """Open the store, start the pipeline and yield the process; at the end, close all in reverse order."""
    folder = DataFolder(settings.data_dir)
    folder.create()
    jobs = _with_secret_key(settings, folder)
    with ExitStack() as stack:
        stack.enter_context(folder.locked())
        listener = stack.enter_context(listen(settings.host, settings.port))
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
    """Yield the reserve of the data folder's disk, watched, and let every insert be written through to it."""
    sync_inserts(store)
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
