"""`phospho query`: run one SQL query and print its result."""

from __future__ import annotations

import sys

import click

from phospho_cli.client.http import Client, connected

_TEXT_FORMATS = (
    "TSV", "TSVWithNames", "CSV", "CSVWithNames", "JSON", "JSONEachRow", "JSONCompact",
    "Pretty", "PrettyCompact", "Markdown", "Vertical",
)  # fmt: skip
_BINARY_FORMATS = ("Parquet", "Arrow")


@click.command("query")
@click.argument("sql", metavar="SQL")
@click.option(
    "--format",
    "-f",
    "format_name",
    type=click.Choice((*_TEXT_FORMATS, *_BINARY_FORMATS), case_sensitive=False),
    metavar="FORMAT",
    help=f"{', '.join((*_TEXT_FORMATS, *_BINARY_FORMATS))} [default: PrettyCompact on a terminal, else TSVWithNames].",
)
@connected
def query(client: Client, sql: str, format_name: str | None) -> None:
    """
    Run a SQL query. SQL is one SELECT, or - to read it from stdin.

    The views are tasks, sessions, events, analyses, feedback, labels, notes, definitions, themes and dead_letters.
    They show your own project only.

    \b
    Examples:
      phospho query "SELECT count() FROM tasks"
      phospho query "SELECT name, count() FROM events GROUP BY name" --format CSVWithNames
      phospho query "SELECT * FROM tasks" -f Parquet > tasks.parquet
      phospho query - < report.sql
    """
    text = sys.stdin.read() if sql == "-" else sql
    if not text.strip():
        raise click.UsageError("The query is empty.")
    is_terminal = sys.stdout.isatty()
    format_name = format_name or ("PrettyCompact" if is_terminal else "TSVWithNames")
    if is_terminal and format_name in _BINARY_FORMATS:
        raise click.UsageError(f"{format_name} is binary. Send it to a file: … --format {format_name} > FILE")
    _print_result(client, {"query": text, "format": format_name})


def _print_result(client: Client, query: dict[str, str]) -> None:
    output = sys.stdout.buffer
    with client.stream("/api/v1/sql", query) as chunks:
        for chunk in chunks:
            output.write(chunk)
    output.flush()
