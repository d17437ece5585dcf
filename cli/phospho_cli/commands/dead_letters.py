"""`phospho dead-letters`: list, edit, replay and drop messages that a stage could not read."""

from __future__ import annotations

import base64
import sys
from collections.abc import Callable, Iterator
from typing import IO, Any, TypeVar
from urllib.parse import quote, urlencode

import click

from phospho_cli.client.http import Client, connected
from phospho_cli.client.output import print_table
from phospho_cli.times import parsed_since
from phospho_schemas.times import utc_now

_PATH = "/api/v1/dead-letters"
_COLUMNS = (
    "dead_letter_id",
    "received_at",
    "stage",
    "reason",
    "status",
    "source_topic",
    "source_partition",
    "source_offset",
    "detail",
)
_COUNT_COLUMNS = ("stage", "reason", "waiting", "replayed", "dropped", "last_at")
_FIELDS = ("reason", "stage", "status")

_Command = TypeVar("_Command", bound=Callable[..., Any])


@click.group("dead-letters")
def dead_letters() -> None:
    """
    List, edit, replay and drop dead letters: messages that a stage could not read.

    \b
    Examples:
      phospho dead-letters counts
      phospho dead-letters list --where reason=too_deep --since 7d
      phospho dead-letters edit ID
      phospho dead-letters replay ID
      phospho dead-letters replay --where reason=row_refused
      phospho dead-letters drop --where stage=extraction --since 24h
    """


def _selection_options(command: _Command) -> _Command:
    where = click.option(
        "--where", "where", multiple=True, metavar="FIELD=VALUE", help="reason=…, stage=… or status=…; may be repeated."
    )
    since = click.option("--since", default="", help="How far back: 36h, 7d, or a time such as 2026-01-31.")
    return where(since(command))


@dead_letters.command("list")
@click.option("--limit", type=click.IntRange(1, 500), default=50, show_default=True, help="Most rows to list.")
@_selection_options
@connected
def list_dead_letters(client: Client, limit: int, where: tuple[str, ...], since: str) -> None:
    """List dead letters, the latest first. An administrator also sees those without a project."""
    query = urlencode({"limit": limit} | _selection(where, since))
    print_table(_COLUMNS, client.get(f"{_PATH}?{query}")["dead_letters"])


@dead_letters.command("counts")
@connected
def counts(client: Client) -> None:
    """Count dead letters by stage and reason."""
    print_table(_COUNT_COLUMNS, client.get(f"{_PATH}/counts")["counts"])


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


@dead_letters.command("edit")
@click.argument("dead_letter_id", metavar="ID")
@connected
def edit(client: Client, dead_letter_id: str) -> None:
    """Open the dead letter ID in $EDITOR, and replay what you save. Its task keeps its id."""
    payload = client.get(_path(dead_letter_id))["dead_letter"]["payload"]
    edited = click.edit(payload, extension=".json")
    if edited is None or edited.rstrip("\n") == payload:
        raise click.ClickException("Nothing was changed, so nothing was replayed.")
    _replay_one(client, dead_letter_id, {"payload": edited})


@dead_letters.command("replay")
@click.argument("dead_letter_id", metavar="ID", required=False)
@click.option("--payload-file", type=click.File("rb"), help="Send these bytes instead of the original ones.")
@_selection_options
@connected
def replay(
    client: Client, dead_letter_id: str | None, payload_file: IO[bytes] | None, where: tuple[str, ...], since: str
) -> None:
    """
    Send dead letters to their topic again: the one with this ID, edited or as it was, or all that wait and match.

    Safe to repeat: a log keeps its identity, so it is one task. The dead letters stay listed, as replayed.
    """
    if dead_letter_id is not None:
        edited = {} if payload_file is None else {"payload": _text(payload_file.read())}
        _replay_one(client, dead_letter_id, edited)
        return
    answers = list(_in_bulk(client, "replay", where, since))
    replayed, failed = (sum(answer[name] for answer in answers) for name in ("replayed", "failed"))
    click.echo(f"{replayed} dead letters were replayed, {failed} could not be.")
    for failure in [failure for answer in answers for failure in answer["failures"]][:20]:
        click.echo(f"{failure['dead_letter_id']}: {failure['error']['message']}", err=True)
    if failed:
        raise click.exceptions.Exit(1)


@dead_letters.command("drop")
@click.argument("dead_letter_id", metavar="ID", required=False)
@_selection_options
@connected
def drop(client: Client, dead_letter_id: str | None, where: tuple[str, ...], since: str) -> None:
    """
    Drop dead letters: the one with this ID, or all that wait and match.

    The ledger counts them as dropped. They can be listed and replayed until retention deletes them.
    """
    if dead_letter_id is not None:
        client.post(f"{_path(dead_letter_id)}/drop", {})
        click.echo(f"{dead_letter_id} was dropped.")
        return
    dropped = sum(answer["dropped"] for answer in _in_bulk(client, "drop", where, since))
    click.echo(f"{dropped} dead letters were dropped.")


def _replay_one(client: Client, dead_letter_id: str, edited: dict[str, str]) -> None:
    answer = client.post(f"{_path(dead_letter_id)}/replay", edited)
    click.echo(f"{dead_letter_id} was sent to {answer['topic']} again, as task {answer['task_id']}.")


def _in_bulk(client: Client, action: str, where: tuple[str, ...], since: str) -> Iterator[dict[str, Any]]:
    """Act on all that match, a bounded number a call. Raises UsageError without a condition."""
    selection = _selection(where, since)
    if not selection:
        raise click.UsageError("Name a dead letter by its ID, or several by --where or --since.")
    cursor = ""
    while cursor is not None:
        answer = client.post(f"{_PATH}/{action}", selection | {"cursor": cursor})
        cursor = answer["next_cursor"]
        yield answer


def _selection(where: tuple[str, ...], since: str) -> dict[str, str]:
    selection = {"since": parsed_since(since, utc_now())} if since else {}
    for condition in where:
        name, is_given, value = condition.partition("=")
        if not is_given or name not in _FIELDS:
            raise click.UsageError(f"--where {condition!r}: write {', '.join(f'{field}=…' for field in _FIELDS)}.")
        selection[name] = value
    return selection


def _text(payload: bytes) -> str:
    try:
        return payload.decode("utf-8")
    except UnicodeDecodeError as error:
        raise click.UsageError(f"The edited payload is not UTF-8: {error}.") from None


def _path(dead_letter_id: str) -> str:
    return f"{_PATH}/{quote(dead_letter_id, safe='')}"
