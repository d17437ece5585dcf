"""The `phospho` command: a table of commands, each in a module of its own."""

from __future__ import annotations

import click

from phospho_cli.lazy import LazyCommand, LazyGroup

__all__ = ["main"]

_SERVER = "Run the pipeline"
_CLIENT = "Talk to a running server"
_STANDALONE = "Without a server"

_COMMANDS = {
    "up": LazyCommand("processes.up:up", _SERVER, "Run everything in one process."),
    "gateway": LazyCommand("processes.gateway:gateway", _SERVER, "Serve the ingest API in front of Kafka."),
    "dashboard": LazyCommand("processes.dashboard:dashboard", _SERVER, "Serve the pages and the query API."),
    "worker": LazyCommand("processes.worker:worker", _SERVER, "Run one stage on Kafka, or background jobs."),
    "clickhouse": LazyCommand("processes.clickhouse:clickhouse", _SERVER, "Serve an embedded ClickHouse over HTTP."),
    "topics": LazyCommand("commands.operations.topics:topics", _SERVER, "Create the Kafka topics."),
    "migrate": LazyCommand("commands.operations.migrate:migrate", _SERVER, "Bring ClickHouse's tables up to date."),
    "backup": LazyCommand("commands.operations.backup:backup", _SERVER, "Back up the data folder of phospho up."),
    "restore": LazyCommand(
        "commands.operations.backup:restore_command", _SERVER, "Restore a backup into a new data folder."
    ),
    "retention": LazyCommand(
        "commands.operations.retention:retention", _SERVER, "Delete rows past their project's retention."
    ),
    "doctor": LazyCommand("commands.doctor.command:doctor", _SERVER, "Check Kafka, ClickHouse and this machine."),
    "config": LazyCommand(
        "commands.operations.config:config", _SERVER, "Show the settings that are set, and their sources."
    ),
    "schemas": LazyCommand(
        "commands.operations.schemas:schemas", _SERVER, "Write the generated files: JSON Schema, AsyncAPI, docs."
    ),
    "import": LazyCommand(
        "importing.command:import_file", _CLIENT, "Log tasks of a file: JSON, CSV, Parquet or Excel."
    ),
    "query": LazyCommand("commands.query:query", _CLIENT, "Run a SQL query."),
    "definitions": LazyCommand("commands.definitions.definitions:definitions", _CLIENT, "Define the events to detect."),
    "backfill": LazyCommand("commands.definitions.backfill:backfill", _CLIENT, "Run a definition over past tasks."),
    "webhooks": LazyCommand("commands.webhooks:webhooks", _CLIENT, "Send events to other systems by HTTP."),
    "keys": LazyCommand("commands.keys:keys", _CLIENT, "Create, list and revoke API keys."),
    "projects": LazyCommand("commands.projects:projects", _CLIENT, "Create, list and change projects."),
    "people": LazyCommand("commands.people:people", _CLIENT, "Manage who may sign in to the pages."),
    "llm": LazyCommand("commands.llm:llm", _CLIENT, "Show what LLM judgements cost."),
    "dead-letters": LazyCommand(
        "commands.dead_letters:dead_letters", _CLIENT, "List, edit, replay and drop dead letters."
    ),
    "ledger": LazyCommand("commands.ledger:ledger", _CLIENT, "Show what became of each accepted log."),
    "forget": LazyCommand("commands.forget:forget", _CLIENT, "Forget a user, a session or a task."),
    "mcp": LazyCommand("commands.mcp:mcp", _CLIENT, "Serve read-only tools to agents and IDEs (MCP)."),
    "alerts": LazyCommand(
        "commands.alerts:alerts", _CLIENT, "Notify Slack, e-mail or a webhook when a metric crosses a threshold."
    ),
    "labels": LazyCommand("commands.labels:labels", _CLIENT, "Review events in Argilla or Label Studio."),
    "themes": LazyCommand("commands.themes:themes", _CLIENT, "See what users talk about, and evaluate it."),
    "demo": LazyCommand("demo.command:demo", _CLIENT, "Log generated conversations, past and live."),
    "evaluate": LazyCommand(
        "commands.definitions.evaluate:evaluate", _STANDALONE, "Score definitions on labelled logs."
    ),
}


def _print_version(ctx: click.Context, _: click.Parameter, is_given: bool) -> None:
    if not is_given or ctx.resilient_parsing:
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
    epilog="Exit codes: 0 success, 1 failure, 2 wrong usage or setting, 3 no server answers.",
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
