"""`phospho dashboard`: the pages and the API over ClickHouse, and feedback and replays to Kafka."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace

import click

from phospho_cli.options import settings_options, variables_help
from phospho_cli.processes.backend import open_backend
from phospho_cli.processes.serving import (
    ListeningApp,
    Process,
    listen,
    port_errors,
    port_of,
    prepare_process,
    reachable_host,
    run,
)
from phospho_cli.processes.settings import DashboardProcessSettings
from phospho_cli.processes.web import open_web
from phospho_dashboard.settings import DashboardSettings
from phospho_store.errors import StoreError
from phospho_store.registry.people import People
from phospho_store.store import Store


@click.command(epilog=variables_help(DashboardProcessSettings))
@settings_options(DashboardProcessSettings)
def dashboard(settings: DashboardProcessSettings) -> None:
    """Serve the pages and the API. People sign in; the first one uses a code that is printed here."""
    prepare_process(logging.WARNING)
    with port_errors(), open_dashboard(settings) as process:
        if process.setup_code:
            click.echo(f"Create the first administrator: open {process.setup_url} with the code {process.setup_code}")
        run(process)


@dataclass(frozen=True)
class DashboardProcess(Process):
    """`setup_code` makes the first administrator at `setup_url`; it is empty if somebody can sign in already."""

    setup_url: str = ""
    setup_code: str = field(default="", repr=False)


@contextmanager
def open_dashboard(settings: DashboardProcessSettings) -> Iterator[DashboardProcess]:
    """Yield the dashboard's process, and close its connections at the end. Raises PortUnavailable."""
    with ExitStack() as stack:
        listener = stack.enter_context(listen(settings.host, settings.port))
        backend = stack.enter_context(
            open_backend(settings.clickhouse, settings.publisher, admin_key=settings.admin_key)
        )
        setup_code = new_setup_code(backend.store) if settings.dashboard.sign_in.has_passwords else ""
        dashboard = replace(
            with_setup_codes(settings.dashboard, setup_code, settings.admin_key),
            base_url=settings.base_url,
            form_key=settings.admin_key,
            metrics_urls=settings.metrics_urls,
        )
        app = stack.enter_context(
            open_web(backend, dashboard=dashboard, gateway=settings.gateway, jobs=settings.jobs, has_pages=True)
        )
        yield DashboardProcess(
            [ListeningApp(app, listener)],
            backend.background_tasks() | backend.enforce_retention(),
            setup_url=f"http://{reachable_host(settings.host)}:{port_of(listener)}/setup",
            setup_code=setup_code,
        )


def new_setup_code(store: Store) -> str:
    """Return a new code with which to make the first administrator; empty if somebody can sign in already."""
    try:
        is_needed = not People(store).everybody()
    except StoreError:
        is_needed = True
    return secrets.token_urlsafe(16) if is_needed else ""


def with_setup_codes(settings: DashboardSettings, *codes: str) -> DashboardSettings:
    """Return the settings with the codes, those that are not empty, that make the first administrator."""
    sign_in = replace(settings.sign_in, setup_codes=tuple(code for code in codes if code))
    return replace(settings, sign_in=sign_in)
