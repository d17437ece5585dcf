"""`phospho gateway`, `phospho dashboard` and `phospho clickhouse`: the servers of a deployment, a process each."""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import click

from phospho_cli.processes.background import BackgroundTask
from phospho_cli.processes.preparation import prepare_process
from phospho_cli.processes.serving import PortTaken, Served, listen, serve, shown_host
from phospho_cli.processes.wiring import Proxy, Web, setup_code, sign_in_settings, tools_of, web_app
from phospho_cli.servers.price_options import prices_option
from phospho_cli.servers.proxy_options import proxy_options
from phospho_dashboard.analytics.prices import Prices
from phospho_gateway.environment import BadSetting, settings_from, variables
from phospho_gateway.publishing.kafka import KafkaPublisher
from phospho_gateway.settings import GatewaySettings, KafkaPublisherSettings
from phospho_schemas.ids import HybridClock
from phospho_store.embedded.http import WRITER_VARIABLE, ClickHouseHttpSettings
from phospho_store.embedded.http import serve as serve_clickhouse
from phospho_store.registry.authentication import Authenticator
from phospho_store.registry.quotas import DailyQuotas, keep_fresh
from phospho_store.registry.registry import Registry
from phospho_store.retention import enforce_hourly
from phospho_store.store import remote
from phospho_workers.jobs.settings import JobSettings, from_environment
from phospho_workers.judging.settings import BadJudgeSettings


def _options(default_port: int) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        for option in (
            click.option("--port", default=default_port, show_default=True),
            click.option("--host", default="127.0.0.1", show_default=True),
            click.option(
                "--base-url", envvar="PHOSPHO_BASE_URL", help="Where clients reach the gateway, for the pages."
            ),
            click.option(
                "--clickhouse", envvar="PHOSPHO_CLICKHOUSE", default="http://127.0.0.1:8123", show_default=True
            ),
            click.option("--kafka", envvar="PHOSPHO_KAFKA", default="127.0.0.1:9092", show_default=True),
        ):
            command = option(command)
        return command

    return decorate


def gateway_settings() -> GatewaySettings:
    """Return what PHOSPHO_GATEWAY_* variables say. Raises click's exception for one that can't be used."""
    try:
        return settings_from(os.environ)
    except BadSetting as error:
        raise click.ClickException(str(error)) from None


def job_settings() -> JobSettings:
    """Return what variables say of the jobs. Raises click's exception for one that can't be used."""
    try:
        return from_environment(os.environ)
    except BadJudgeSettings as error:
        raise click.ClickException(str(error)) from None
    except ValueError as error:
        raise click.ClickException(f"PHOSPHO_WEBHOOK_ALLOWED_NETWORKS is no list of networks: {error}") from None


def settings_help() -> str:
    """Return the variables of the gateway, a line each, for the end of a help text."""
    return "\b\nVariables of the gateway:\n" + "\n".join(f"  {name}\n    {text}" for name, text in variables().items())


@click.command(epilog=settings_help())
@_options(8420)
def gateway(kafka: str, clickhouse: str, base_url: str | None, host: str, port: int) -> None:
    """
    Take logs by HTTP and write them to Kafka; answer the API.

    PHOSPHO_ADMIN_KEY is the administrator's key; without it nobody can create projects here.
    """
    _serve(Web(base_url or f"http://{host}:{port}", has_pages=False), kafka, clickhouse, host, port)


@click.command()
@_options(8421)
@prices_option
@proxy_options
@click.option(
    "--metrics-url",
    envvar="PHOSPHO_METRICS_URLS",
    multiple=True,
    metavar="URL",
    help="Where another process shows its metrics, for the page of the system's health; more than one may be given.",
)
def dashboard(
    kafka: str,
    clickhouse: str,
    base_url: str | None,
    host: str,
    port: int,
    prices: Prices,
    proxy: Proxy | None,
    metrics_url: tuple[str, ...],
) -> None:
    """
    Serve the pages and the API. People sign in; the first one with a code that is printed here.

    PHOSPHO_ADMIN_KEY is the administrator's key: it adds people (`phospho people`) and makes the first one as well.
    """
    store = remote(clickhouse)
    code, admin_key = setup_code(store), os.environ.get("PHOSPHO_ADMIN_KEY", "")
    if code:
        click.echo(f"Nobody can sign in yet: open http://{shown_host(host)}:{port}/setup with the code {code}")
    web = Web(
        base_url or "http://127.0.0.1:8420",
        has_pages=True,
        prices=prices,
        sign_in=sign_in_settings([code, admin_key], proxy),
        form_key=admin_key,
        metrics_urls=metrics_url,
    )
    store.close()
    _serve(web, kafka, clickhouse, host, port)


def _serve(web: Web, kafka: str, clickhouse: str, host: str, port: int) -> None:
    prepare_process(logging.WARNING)
    settings, jobs = gateway_settings(), job_settings()
    clock = HybridClock()
    with ExitStack() as stack:
        try:
            door = stack.enter_context(listen(host, port))
        except PortTaken as error:
            raise click.ClickException(f"{error}. Stop the other program, or give --port.") from error
        store = remote(clickhouse)
        stack.callback(store.close)
        publisher = KafkaPublisher(KafkaPublisherSettings(bootstrap_servers=kafka))
        stack.callback(publisher.close, 30.0)
        registry = Registry(store, clock)
        authenticator = Authenticator(registry, admin_secret=os.environ.get("PHOSPHO_ADMIN_KEY") or None)
        quotas = DailyQuotas(store, registry)
        tools = tools_of(store, clock, jobs)
        app = web_app(web, store, publisher, clock, authenticator, {"kafka": publisher.check}, settings, quotas, tools)
        background: dict[str, BackgroundTask] = {"quotas": partial(keep_fresh, quotas)}
        if web.has_pages:
            background["retention"] = partial(enforce_hourly, store, registry)
        asyncio.run(serve([Served(stack.enter_context(app), door)], background))


@click.command()
@click.option("--data", default="phospho-clickhouse", show_default=True, help="Folder of the engine.")
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8123, show_default=True)
def clickhouse(data: str, host: str, port: int) -> None:
    """
    Serve an embedded ClickHouse over HTTP, for a machine that has no ClickHouse server.

    The user `phospho` writes, with the password in PHOSPHO_CLICKHOUSE_PASSWORD, or else with one that is made up at the
    first start, kept in the folder for its owner alone, and shown here.
    """
    Path(data).mkdir(mode=0o700, parents=True, exist_ok=True)
    password = os.environ.get(WRITER_VARIABLE) or _kept_password(Path(data) / "password")
    if not os.environ.get(WRITER_VARIABLE):
        click.echo(f"export PHOSPHO_CLICKHOUSE=http://phospho:{password}@{host}:{port}/phospho")
    serve_clickhouse(str(Path(data) / "engine"), ClickHouseHttpSettings(host=host, port=port, write_password=password))


def _kept_password(path: Path) -> str:
    """Return the password of this folder, made at the first time."""
    if not path.exists():
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_urlsafe(24))
    return path.read_text().strip()
