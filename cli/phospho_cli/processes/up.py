"""`phospho up`: the whole pipeline in one process, or the same API and pages in front of real servers."""

from __future__ import annotations

import importlib
import logging
import shlex
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from textwrap import indent
from typing import TYPE_CHECKING

import click
from pydantic import ValidationError

from phospho_cli.data_folder import DataFolder, FolderInUse
from phospho_cli.lazy import without_collections
from phospho_cli.options import settings_options, variables_help
from phospho_cli.processes.serving import listen, port_errors, prepare_process, run
from phospho_cli.processes.settings import UpSettings
from phospho_schemas.messages import ProjectSettings
from phospho_schemas.settings import BadSetting
from phospho_store.errors import IncompatibleStore, StoreError
from phospho_workers.judging.settings import LlmSettings

if TYPE_CHECKING:
    from phospho_cli.processes.up_process import UpProcess


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


@contextmanager
def open_up(settings: UpSettings) -> Iterator[UpProcess]:
    """
    Open the store, start the pipeline and yield the process; at the end, close all in reverse order.

    Raises FolderInUse and PortUnavailable at once.
    """
    folder = DataFolder(settings.data_dir)
    folder.create()
    with folder.locked(), listen(settings.host, settings.port) as listener:
        # Imported here: nobody waits a second for a port that is in use. chDB runs outside Python while it loads.
        with without_collections():
            threading.Thread(target=importlib.import_module, args=["chdb"]).start()
            from phospho_cli.processes.up_process import open_process
        with open_process(settings, folder, listener) as process:
            yield process
