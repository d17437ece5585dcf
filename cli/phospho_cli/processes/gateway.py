"""The gateway's process: logs by HTTP to Kafka, and the API."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from phospho_cli.processes.backend import open_backend
from phospho_cli.processes.serving import ListeningApp, Process, listen
from phospho_cli.processes.settings import GatewayProcessSettings
from phospho_cli.processes.web import open_web
from phospho_dashboard.settings import DashboardSettings


@contextmanager
def open_gateway(settings: GatewayProcessSettings) -> Iterator[Process]:
    """Yield the gateway's process, and close its connections at the end. Raises PortUnavailable."""
    with ExitStack() as stack:
        listener = stack.enter_context(listen(settings.host, settings.port))
        backend = stack.enter_context(open_backend(settings.clickhouse, settings.kafka, admin_key=settings.admin_key))
        base_url = settings.base_url or f"http://{settings.host}:{settings.port}"
        app = stack.enter_context(
            open_web(
                backend,
                dashboard=DashboardSettings(base_url),
                gateway=settings.gateway,
                jobs=settings.jobs,
                has_pages=False,
            )
        )
        yield Process([ListeningApp(app, listener)], backend.refresh_quotas())
