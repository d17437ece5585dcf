"""The `phospho` command. Its table of commands is here; each command is in a module of its own."""

from __future__ import annotations

import click

from phospho_cli.lazy import LazyCommand, LazyGroup

__all__ = ["main"]

_HERE = "phospho_cli."
_SERVER = "Run the pipeline"
_CLIENT = "Talk to a running server"
_ALONE = "By itself, without a server"

_COMMANDS = {
    "up": LazyCommand(_HERE + "servers.up:up", _SERVER, "Run everything in one process."),
    "gateway": LazyCommand(_HERE + "servers.gateway:gateway", _SERVER, "Serve the ingest API in front of Kafka."),
    "dashboard": LazyCommand(_HERE + "servers.dashboard:dashboard", _SERVER, "Serve the pages and the query API."),
    "worker": LazyCommand(_HERE + "servers.worker:worker", _SERVER, "Run one worker on Kafka and ClickHouse."),
    "clickhouse": LazyCommand(
        _HERE + "servers.clickhouse:clickhouse", _SERVER, "Serve an embedded ClickHouse over HTTP."
    ),
    "topics": LazyCommand(_HERE + "commands.topics:topics", _SERVER, "Create the Kafka topics."),
    "migrate": LazyCommand(_HERE + "commands.migrate:migrate", _SERVER, "Bring ClickHouse's tables up to date."),
    "retention": LazyCommand(
        _HERE + "commands.retention:retention", _SERVER, "Delete rows past their project's retention."
    ),
    "schemas": LazyCommand(
        _HERE + "commands.schemas:schemas", _SERVER, "Write the generated files: JSON Schema, AsyncAPI, docs."
    ),
    "import": LazyCommand(_HERE + "importing.command:import_file", _CLIENT, "Log the tasks of a JSONL or CSV file."),
    "query": LazyCommand(_HERE + "commands.query:query", _CLIENT, "Ask in SQL."),
    "definitions": LazyCommand(_HERE + "commands.definitions:definitions", _CLIENT, "Say which events to detect."),
    "backfill": LazyCommand(
        _HERE + "commands.backfill:backfill", _CLIENT, "Run a definition over the tasks of the past."
    ),
    "webhooks": LazyCommand(_HERE + "commands.webhooks:webhooks", _CLIENT, "Tell others of events as they are found."),
    "keys": LazyCommand(_HERE + "commands.keys:keys", _CLIENT, "Create, list and revoke API keys."),
    "projects": LazyCommand(_HERE + "commands.projects:projects", _CLIENT, "Create, list and change projects."),
    "people": LazyCommand(_HERE + "commands.people:people", _CLIENT, "Say who may sign in to the pages."),
    "llm": LazyCommand(_HERE + "commands.llm:llm", _CLIENT, "See what judgements of an LLM cost."),
    "dead-letters": LazyCommand(
        _HERE + "commands.dead_letters:dead_letters", _CLIENT, "List, mend and replay what could not be read."
    ),
    "demo": LazyCommand(_HERE + "demo.command:demo", _CLIENT, "Log generated traffic, so that the pages live."),
    "evaluate": LazyCommand(_HERE + "commands.evaluate:evaluate", _ALONE, "Score definitions on labelled logs."),
}


def _print_version(ctx: click.Context, _: click.Parameter, is_asked: bool) -> None:
    if not is_asked or ctx.resilient_parsing:
        return
    from importlib.metadata import PackageNotFoundError, version

    try:
        click.echo(f"phospho {version('phospho-pipeline')}")
    except PackageNotFoundError:
        click.echo("phospho, from a source tree that is not installed")
    ctx.exit()


@click.group(
    "phospho",
    cls=LazyGroup,
    table=_COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 done, 1 the server said no, 2 wrong usage, 3 no server answers.",
)
@click.option(
    "--version",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_print_version,
    help="Print the version and exit.",
)
def main() -> None:
    """
    Log the tasks of an LLM app, detect events in them, and query both.

    \b
    Start here:
      phospho up                        everything in one process
      phospho import logs.jsonl         log a file of tasks
      phospho query "SELECT count() FROM tasks"
    """
