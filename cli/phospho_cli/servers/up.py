"""`phospho up`: the whole system in one process."""

from __future__ import annotations

import logging

import click
from pydantic import ValidationError

from phospho_cli.options import settings_options, variables_help
from phospho_cli.processes.preparation import prepare_process
from phospho_cli.processes.settings import UpSettings
from phospho_cli.processes.up import UpProcess, open_up
from phospho_cli.servers.running import port_errors, run
from phospho_schemas.messages import ProjectSettings
from phospho_schemas.settings import BadSetting
from phospho_store.errors import StoreError
from phospho_workers.judging.settings import LlmSettings


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
        with port_errors(), open_up(settings) as process:
            _print_start(settings, process)
            run(process)
            click.echo("Stopped. Every log that was answered is stored.")
    except ValidationError as error:
        reasons = "; ".join(reason["msg"] for reason in error.errors())
        raise BadSetting(
            f"PHOSPHO_PROJECT_ID={settings.first_project.project_id!r} can't be used: {reasons}."
        ) from error
    except OSError as error:
        raise click.ClickException(
            f"The folder {settings.data_dir} can't be used: {error.strerror}. Give another with --data."
        ) from error
    except StoreError as error:
        raise click.ClickException(
            f"The store can't be opened: {error}. Is another `phospho up` running on {settings.data_dir}?"
        ) from error


def _print_start(settings: UpSettings, process: UpProcess) -> None:
    lines = [
        ("Pages", process.pages_url),
        ("Ingest", f"{process.base_url}/api/v1/events"),
        ("API docs", f"{process.base_url}/docs"),
        ("ClickHouse", process.clickhouse_url.split("@")[-1]),
        ("Project", process.project.project_id),
        ("API key", _key_line(settings, process)),
        ("Data", str(settings.data_dir.resolve())),
    ]
    if settings.jobs.judging.llm is not None:
        lines.append(("LLM", _llm_line(settings.jobs.judging.llm, process.project.settings)))
    if process.setup_code:
        lines.insert(1, ("First admin", f"{process.base_url}/setup with the code {process.setup_code}"))
    click.echo("phospho is up. Ctrl-C stops it.\n")
    for name, value in lines:
        click.echo(f"  {name:<13}{value}")
    click.echo("")


def _llm_line(llm: LlmSettings, budget: ProjectSettings) -> str:
    if not budget.llm_daily_tokens:
        return "not asked: llm_daily_tokens of the project is 0"
    money = f" or ${budget.llm_daily_usd:.2f}" if budget.llm_daily_usd else ""
    return (
        f"{llm.model} at {llm.host} judges uncertain events of the last day's tasks, for at most"
        f" {budget.llm_daily_tokens:,} tokens{money} a day (phospho llm usage)"
    )


def _key_line(settings: UpSettings, process: UpProcess) -> str:
    if process.key is not None:
        return f"{process.key.secret}   (shown once: keep it)"
    if settings.first_project.api_key and not process.is_api_key_valid:
        return (
            "not PHOSPHO_API_KEY, which only names the first key at the first start; for another: phospho keys create"
        )
    return "as made at the first start; for another: phospho keys create"
