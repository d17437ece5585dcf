"""`phospho definitions`: the events that a project detects."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import IO, Any, TypeVar
from urllib.parse import quote

import click

from phospho_cli.client.http import Client, connected
from phospho_cli.client.output import print_table
from phospho_cli.commands.definitions.backfill import offer_backfills
from phospho_schemas.definitions.engines import ENGINE_SPECS

_PATH = "/api/v1/definitions"
# The limits of one request, within the 1,000 items and 1,000,000 bytes that the server accepts.
_MAX_ITEMS = 1_000
_MAX_BYTES = 900_000

_Item = TypeVar("_Item")


@click.group("definitions")
def definitions() -> None:
    """
    Define the events to detect.

    \b
    Examples:
      phospho definitions apply events.yaml
      phospho definitions list
      phospho definitions history refund
      phospho definitions diff refund --file events.yaml
      phospho definitions delete refund
    """


@definitions.command("apply")
@click.argument("file", type=click.File("rb"))
@click.option(
    "--backfill/--no-backfill",
    "wants_backfill",
    default=None,
    help="Run what was created or changed on existing tasks [default: ask on a terminal].",
)
@connected
def apply(client: Client, file: IO[bytes], wants_backfill: bool | None) -> None:
    """
    Create or change the definitions in FILE, a YAML file, or - for stdin.

    Unchanged definitions and those that FILE does not name stay as they are. The definitions apply to tasks logged from
    then on. On a terminal, each new or changed one is offered to run on existing tasks, with an estimate.

    \b
    definitions:
      - name: refund               # its name in charts and SQL
        description: The user asks for their money back
        engine: keyword            # keyword, regex, llm or semantic (the default)
        scope: input               # input, output, system_prompt, session or task (the default: input and output)
        keywords: [refund, money back]     # whole words, in any case
      - name: order_number
        engine: regex
        pattern: 'ORD-\\d{6}'       # RE2; (?i) at the beginning ignores case
      - name: angry
        description: The user is angry
        threshold: 0.7             # of semantic only, 0 to 1; default 0.5
        judge: llm        # none, encoder, llm or project (the default: the one that is configured)
      - name: gave_up
        description: The user gave up
        scope: session             # the whole of it, once it is over
      - name: urgency
        engine: llm
        description: How urgent the request is
        score_range: {type: range, min: 1, max: 5}     # or {type: category, categories: [low, high]}

    `is_last_task: true` reads only the last task of a session, and `context_turns: 3` reads three earlier ones too.
    docs/definitions.md has every field with its limits.
    """
    from phospho_cli.commands.definitions.definition_file import BadDefinitions, read_definitions

    try:
        items = read_definitions(file.read())
    except BadDefinitions as faults:
        raise click.UsageError(f"{_name(file)}: nothing was applied.\n{faults}") from None
    results = apply_definitions(client, items)
    print_table(("name", "version", "status", "reason"), [_table_row(result) for result in results])
    if names := [result["name"] for result in results if result.get("status") in ("created", "changed")]:
        offer_backfills(client, names, wants_backfill)
    if any(result.get("status") == "rejected" for result in results):
        raise click.exceptions.Exit(1)


@definitions.command("list")
@connected
def list_definitions(client: Client) -> None:
    """List the project's definitions."""
    items = client.get(_PATH)["definitions"]
    columns = ("name", "version", "engine", "scope", "matches", "description")
    print_table(columns, [item | {"matches": _matches(item)} for item in items])


@definitions.command("delete")
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@connected
def delete(client: Client, names: tuple[str, ...]) -> None:
    """
    Stop detecting the events NAME..., all or none of them.

    Events that were found stay until their task is analysed again.
    """
    for part in _parts(names):
        client.post(f"{_PATH}/delete", {"names": part})
    click.echo(f"{', '.join(names)} {'is' if len(names) == 1 else 'are'} deleted.")


@definitions.command("history")
@click.argument("name")
@connected
def history(client: Client, name: str) -> None:
    """List the versions of the definition NAME, the latest first."""
    versions = client.get(f"{_PATH}/{quote(name, safe='')}/history")["versions"]
    columns = ("version", "created_at", "engine", "scope", "matches", "description", "is_deleted")
    print_table(columns, [item | {"matches": _matches(item)} for item in versions])


@definitions.command("diff")
@click.argument("name")
@click.option("--file", type=click.File("rb"), help="A YAML file with a new version of it, or - for stdin.")
@click.option(
    "--tasks",
    type=click.IntRange(1, 20_000),
    default=2_000,
    show_default=True,
    help="Number of the latest tasks to compare on.",
)
@connected
def diff(client: Client, name: str, file: IO[bytes] | None, tasks: int) -> None:
    """
    Compare what a new version of the definition NAME finds in the latest tasks with what the stored one finds.

    Without --file, the stored version is compared with the one before it. Nothing is changed.
    """
    body = {"definition": _item_of(file, name)} if file is not None else {}
    changes = client.post(f"{_PATH}/{quote(name, safe='')}/diff", body | {"tasks": tasks})
    click.echo(
        f"{name}: in {changes['tasks']} tasks {changes['newly_found']} newly found,"
        f" {changes['no_longer_found']} no longer found, {changes['found_by_both']} found by both."
    )
    examples = [
        example | {"change": change, "score": round(example["score"], 2)}
        for kind, change in (("newly", "+"), ("no_longer", "-"))
        for example in changes["examples"][kind]
    ]
    if examples:
        print_table(("change", "score", "evidence", "task_id"), examples)


def _name(file: IO[bytes]) -> str:
    """Return the name of a file as a person gave it."""
    name = str(getattr(file, "name", "-"))
    return "stdin" if name in ("-", "<stdin>") else name


def _item_of(file: IO[bytes], name: str) -> dict[str, Any]:
    """Return the definition of that name in a file."""
    from phospho_cli.commands.definitions.definition_file import BadDefinitions, read_definitions

    try:
        items = read_definitions(file.read())
    except BadDefinitions as faults:
        raise click.UsageError(f"{_name(file)}: nothing was compared.\n{faults}") from None
    named = next((item for item in items if item["name"] == name), None)
    if named is None:
        raise click.UsageError(f"The file has no definition {name!r}; it has {', '.join(i['name'] for i in items)}.")
    return named


def apply_definitions(client: Client, items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Post definitions and return the result of each."""
    # A 422 means that none could be applied; it has the results too.
    answers = [client.post(_PATH, {"definitions": part}, results_in=frozenset({422})) for part in _parts(items)]
    return [result for answer in answers for result in answer["results"]]


def _parts(items: Sequence[_Item]) -> Iterator[list[_Item]]:
    """Yield `items` in parts that fit one request."""
    part: list[_Item] = []
    held_bytes = 0
    for item in items:
        item_bytes = len(json.dumps(item))
        if part and (len(part) == _MAX_ITEMS or held_bytes + item_bytes > _MAX_BYTES):
            yield part
            part, held_bytes = [], 0
        part.append(item)
        held_bytes += item_bytes
    yield part


def _matches(item: Mapping[str, Any]) -> Any:
    """Return the values of the item's engine-specific fields, for a table."""
    spec = ENGINE_SPECS.get(item["engine"])
    if spec is None:
        return ""
    values = {name: item[name] for name in sorted(spec.own_fields) if item.get(name) not in (None, "", [])}
    if list(values) == [spec.required_field]:
        return values[spec.required_field]
    return ", ".join(f"{name} {value}" for name, value in values.items())


def _table_row(result: Mapping[str, Any]) -> dict[str, Any]:
    error = result.get("error") or {}
    reasons = (error.get("message"), error.get("hint"), result.get("warning") and f"Warning: {result['warning']}")
    return {**result, "reason": " ".join(filter(None, reasons))}
