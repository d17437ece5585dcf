"""`phospho ledger`: what became of each accepted log, by hour."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import click

from phospho_cli.client.http import Client, connected
from phospho_cli.client.output import print_json, print_table
from phospho_cli.times import parsed_since
from phospho_schemas.times import utc_now

_COLUMNS = (
    *("hour", "received", "rejected", "accepted", "stored", "already_known", "replayed", "dead_lettered", "dropped"),
    *("deleted", "pending", "missing", "without_receipt"),
)


@click.command("ledger")
@click.option("--since", default="24h", show_default=True, help="How far back: 36h, 7d, or a time such as 2026-01-31.")
@click.option("--json", "is_json", is_flag=True, help="Print the API's answer.")
@connected
def ledger(client: Client, since: str, is_json: bool) -> None:
    """
    Show what became of each accepted log of a project, by hour.

    An hour balances when every accepted log is stored, already known, replayed, dead-lettered, dropped, deleted or
    pending. Exits with 1 if an hour doesn't.

    \b
    Examples:
      phospho ledger
      phospho ledger --project shop --since 7d
    """
    answer = client.get(f"/api/v1/ledger?since={quote(parsed_since(since, utc_now()))}")
    if is_json:
        print_json(answer)
    else:
        print_table(_COLUMNS, answer["hours"])
        click.echo(_verdict(answer), err=True)
    if not answer["is_balanced"]:
        raise click.exceptions.Exit(1)


def _verdict(answer: Mapping[str, Any]) -> str:
    if not answer["hours"]:
        return "No hour with logs was reconciled. Jobs do it within seconds: `phospho up`, or `phospho worker jobs`."
    if answer["is_balanced"]:
        return f"The ledger balances: {answer['totals']['accepted']:,} accepted logs, none missing."
    hours = [hour for hour in answer["hours"] if not hour["is_balanced"]]
    lines = [
        f"  {hour['hour']}: {hour['missing']:,} of {hour['accepted']:,} missing, such as {hour['missing_ids'][0]}"
        for hour in hours
    ]
    return "\n".join(
        [f"The ledger of {answer['project_id']} doesn't balance since {answer['unbalanced_since']}.", *lines]
    )
