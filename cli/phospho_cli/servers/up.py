"""`phospho up`: the whole system, running."""

from __future__ import annotations

import asyncio
import logging
import os
from pathlib import Path

import click
from pydantic import ValidationError

from phospho_cli.processes.preparation import prepare_process
from phospho_cli.processes.serving import PortTaken, serve
from phospho_cli.processes.up import Running, UpSettings, open_app
from phospho_cli.processes.wiring import Proxy
from phospho_cli.servers.commands import gateway_settings, job_settings
from phospho_cli.servers.price_options import prices_option
from phospho_cli.servers.proxy_options import proxy_options
from phospho_dashboard.analytics.prices import Prices
from phospho_schemas.messages import ProjectSettings
from phospho_store.errors import StoreError
from phospho_workers.judging.settings import BadJudgeSettings, LlmSettings


@click.command()
@click.option("--data", envvar="PHOSPHO_DATA", default="phospho-data", show_default=True, help="Folder of all data.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8420,
    show_default=True,
    help="Pages, API and ingest; 0 takes a free one.",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Beyond loopback, people sign in to the pages.")
@click.option(
    "--clickhouse-port",
    type=click.IntRange(0, 65535),
    default=8123,
    show_default=True,
    help="ClickHouse's HTTP interface, read-only, on loopback.",
)
@click.option("--kafka", envvar="PHOSPHO_KAFKA", help="host:port of a Kafka to write to; needs --clickhouse.")
@click.option("--clickhouse", envvar="PHOSPHO_CLICKHOUSE", help="URL of a ClickHouse server; needs --kafka.")
@prices_option
@click.option("--sign-in", envvar="PHOSPHO_SIGN_IN", is_flag=True, help="On loopback too, as behind a proxy.")
@proxy_options
def up(
    data: str,
    port: int,
    host: str,
    clickhouse_port: int,
    kafka: str | None,
    clickhouse: str | None,
    prices: Prices,
    sign_in: bool,
    proxy: Proxy | None,
) -> None:
    """
    Run the whole pipeline, its API and its pages in one process. Nothing else has to be installed.

    With --kafka and --clickhouse the same API and pages run in front of real servers, and `phospho worker` does the
    rest. PHOSPHO_PROJECT_ID and PHOSPHO_API_KEY, when set at the first start, name the first project and its key.

    \b
      phospho up
      phospho up --data /var/lib/phospho --port 8500
      phospho up --kafka localhost:9092 --clickhouse http://localhost:8123

    PHOSPHO_LLM_* or PHOSPHO_ENCODER_DIR say who is asked for judgements; docs/judges.md lists them.
    PHOSPHO_GATEWAY_* variables set bounds, limits and CORS: `phospho gateway --help` lists them.
    """
    if bool(kafka) != bool(clickhouse):
        raise click.UsageError("--kafka and --clickhouse go together: give both, or neither.")
    prepare_process(logging.WARNING)
    settings = UpSettings(
        Path(data),
        host,
        port,
        clickhouse_port,
        kafka or None,
        clickhouse or None,
        os.environ.get("PHOSPHO_PROJECT_ID", ""),
        os.environ.get("PHOSPHO_API_KEY", ""),
        os.environ.get("PHOSPHO_ADMIN_KEY", ""),
        gateway_settings(),
        prices,
        sign_in or proxy is not None,
        proxy,
        job_settings(),
    )
    try:
        with open_app(settings) as running:
            _tell(settings, running)
            asyncio.run(serve(running.apps, running.background))
            click.echo("stopped: everything that was answered is stored")
    except BadJudgeSettings as error:
        raise click.ClickException(str(error)) from error
    except PortTaken as error:
        raise click.ClickException(f"{error}. Stop the other program, or give --port.") from error
    except ValidationError as error:
        what = "; ".join(problem["msg"] for problem in error.errors())
        raise click.ClickException(f"PHOSPHO_PROJECT_ID={settings.project_id!r} can't be a project: {what}") from error
    except OSError as error:
        raise click.ClickException(
            f"the folder {data} can't be used: {error.strerror}. Give another with --data."
        ) from error
    except StoreError as error:
        raise click.ClickException(
            f"the store can't be opened: {error}. Is another `phospho up` running on {data}?"
        ) from error


def _tell(settings: UpSettings, running: Running) -> None:
    lines = [
        ("Pages", running.pages_url),
        ("Ingest", f"{running.base_url}/api/v1/events"),
        ("API docs", f"{running.base_url}/docs"),
        ("ClickHouse", running.clickhouse_url.split("@")[-1]),
        ("Project", running.project.project_id),
        ("API key", _key_line(settings, running)),
        ("Data", str(settings.data_dir.resolve())),
    ]
    if settings.jobs.judging.llm is not None:
        lines.append(("LLM asked", _llm_line(settings.jobs.judging.llm, running.project.settings)))
    if running.setup_code:
        lines.insert(1, ("First admin", f"{running.base_url}/setup with the code {running.setup_code}"))
    click.echo("phospho is up. Ctrl-C stops it.\n")
    for name, value in lines:
        click.echo(f"  {name:<13}{value}")
    click.echo("")


def _llm_line(llm: LlmSettings, budget: ProjectSettings) -> str:
    if not budget.llm_daily_tokens:
        return "nothing: llm_daily_tokens of the project is 0"
    money = f" or ${budget.llm_daily_usd:.2f}" if budget.llm_daily_usd else ""
    return (
        f"{llm.model} at {llm.host}, about what is in doubt in the tasks of the last day;"
        f" {budget.llm_daily_tokens:,} tokens{money} a day at most (phospho llm usage)"
    )


def _key_line(settings: UpSettings, running: Running) -> str:
    if running.key is None and settings.api_key and not running.is_api_key_known:
        return "not PHOSPHO_API_KEY, which names the first key at the first start; another one: phospho keys create"
    if running.key is None:
        return "as made at the first start; another one: phospho keys create"
    return f"{running.key.secret}   (shown once: keep it)"
