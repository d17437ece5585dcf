"""`phospho dead-letters`: what no stage could read, to look at, to mend and to send again."""

from __future__ import annotations

import base64
import sys
from datetime import UTC, datetime
from typing import IO, Any
from urllib.parse import quote

import click

from phospho_workers.cli.client import Client, connected
from phospho_workers.cli.failures import Failure
from phospho_workers.cli.tables import print_table

_PATH = "/api/v1/dead-letters"
_PLACE = (
    "dead_letter_id",
    "received_at",
    "stage",
    "reason",
    "source_topic",
    "source_partition",
    "source_offset",
    "detail",
)


@click.group("dead-letters")
def dead_letters() -> None:
    """
    List, mend and replay what could not be read.

    \b
    Examples:
      phospho dead-letters list
      phospho dead-letters show ID --payload > message.json
      phospho dead-letters replay ID --payload-file message.json
    """


@dead_letters.command("list")
@click.option("--limit", type=click.IntRange(1, 500), default=50, show_default=True, help="At most so many.")
@connected
def list_dead_letters(client: Client, limit: int) -> None:
    """List dead letters, the latest first; for an administrator also those that name no project."""
    rows = client.get(f"{_PATH}?limit={limit}")["dead_letters"]
    print_table(_PLACE, [row | {"received_at": _utc_text(row["received_ms"])} for row in rows])


@dead_letters.command("show")
@click.argument("dead_letter_id", metavar="ID")
@click.option("--payload", "is_payload_only", is_flag=True, help="Print the message's bytes as they came, alone.")
@connected
def show(client: Client, dead_letter_id: str, is_payload_only: bool) -> None:
    """Show why the dead letter ID failed, and its bytes."""
    columns = ", ".join((*_PLACE, "base64Encode(payload) AS payload_base64"))
    rows = _rows(client, f"SELECT {columns} FROM dead_letters WHERE dead_letter_id = {_quoted(dead_letter_id)}")
    if not rows:
        raise Failure(
            f"There is no dead letter {dead_letter_id} in this project.",
            "`phospho dead-letters list` has them all. One that names no project can be replayed, but not shown.",
        )
    if not is_payload_only:
        for column in _PLACE:
            click.echo(f"{column}: {rows[0][column]}")
        click.echo()
        sys.stdout.flush()
    sys.stdout.buffer.write(base64.b64decode(rows[0]["payload_base64"]))
    sys.stdout.buffer.flush()


@dead_letters.command("replay")
@click.argument("dead_letter_id", metavar="ID")
@click.option("--payload-file", type=click.File("rb"), help="Send these bytes in the place of those that failed.")
@connected
def replay(client: Client, dead_letter_id: str, payload_file: IO[bytes] | None) -> None:
    """Send the dead letter ID to its topic again, mended or as it came. Twice changes nothing."""
    mended = {} if payload_file is None else {"payload": _text(payload_file.read())}
    answer = client.post(f"{_PATH}/{quote(dead_letter_id, safe='')}/replay", mended)
    click.echo(f"{dead_letter_id} is sent to {answer['topic']} again.")


def _text(payload: bytes) -> str:
    try:
        return payload.decode("utf-8")
    except UnicodeDecodeError as error:
        raise click.UsageError(f"The mended payload is not UTF-8: {error}.") from None


def _utc_text(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms / 1000, UTC).isoformat(" ", "milliseconds")


def _rows(client: Client, sql: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = client.post("/api/v1/sql", {"query": sql, "format": "JSON"})["data"]
    return rows


def _quoted(text: str) -> str:
    """Return a ClickHouse string literal."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
