"""`phospho dead-letters`: list, edit and replay messages that a stage could not read."""

from __future__ import annotations

import base64
import sys
from typing import IO
from urllib.parse import quote

import click

from phospho_cli.client.http import Client, connected
from phospho_cli.client.output import print_table

_PATH = "/api/v1/dead-letters"
_COLUMNS = (
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
    List, edit and replay dead letters: messages that a stage could not read.

    \b
    Examples:
      phospho dead-letters list
      phospho dead-letters show ID --payload > message.json
      phospho dead-letters replay ID --payload-file message.json
    """


@dead_letters.command("list")
@click.option("--limit", type=click.IntRange(1, 500), default=50, show_default=True, help="Most rows to list.")
@connected
def list_dead_letters(client: Client, limit: int) -> None:
    """List dead letters, the latest first. An administrator also sees those without a project."""
    rows = client.get(f"{_PATH}?limit={limit}")["dead_letters"]
    print_table(_COLUMNS, rows)


@dead_letters.command("show")
@click.argument("dead_letter_id", metavar="ID")
@click.option("--payload", "is_payload_only", is_flag=True, help="Print the message's original bytes only.")
@connected
def show(client: Client, dead_letter_id: str, is_payload_only: bool) -> None:
    """Show the dead letter ID: its reason and its bytes."""
    letter = client.get(_path(dead_letter_id))["dead_letter"]
    if not is_payload_only:
        for column in _COLUMNS:
            click.echo(f"{column}: {letter[column]}")
        click.echo()
        sys.stdout.flush()
    sys.stdout.buffer.write(base64.b64decode(letter["payload_base64"]))
    sys.stdout.buffer.flush()


@dead_letters.command("replay")
@click.argument("dead_letter_id", metavar="ID")
@click.option("--payload-file", type=click.File("rb"), help="Send these bytes instead of the original ones.")
@connected
def replay(client: Client, dead_letter_id: str, payload_file: IO[bytes] | None) -> None:
    """
    Send the dead letter ID to its topic again, edited or as it was.

    Safe to repeat: it is one task. The dead letter stays listed, as a record of the message.
    """
    edited = {} if payload_file is None else {"payload": _text(payload_file.read())}
    answer = client.post(f"{_path(dead_letter_id)}/replay", edited)
    click.echo(f"{dead_letter_id} was sent to {answer['topic']} again, as task {answer['task_id']}.")


def _text(payload: bytes) -> str:
    try:
        return payload.decode("utf-8")
    except UnicodeDecodeError as error:
        raise click.UsageError(f"The edited payload is not UTF-8: {error}.") from None


def _path(dead_letter_id: str) -> str:
    return f"{_PATH}/{quote(dead_letter_id, safe='')}"
