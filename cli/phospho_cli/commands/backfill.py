"""`phospho backfill`: run a definition over the tasks that are there already."""

from __future__ import annotations

import time
from typing import Any

import click

from phospho_cli.client.failures import Failure
from phospho_cli.client.http import Client
from phospho_cli.client.options import connected
from phospho_cli.client.progress import progress
from phospho_cli.client.retries import LONG_RUNNING

_PATH = "/api/v1/backfills"
_ASK_INTERVAL_S = 0.5
# Parts of a whole whose size is known once the server has begun.
_WHOLE = 1_000


@click.command()
@click.option("--definition", "name", required=True, metavar="NAME", help="The definition, in its current version.")
@click.option("--from", "from_at", metavar="TIME", help="Tasks from this time on, such as 2026-01-31 [default: all].")
@click.option("--to", "to_at", metavar="TIME", help="Tasks before this time [default: all].")
@click.option("--dry-run", is_flag=True, help="Only say what it would cost.")
@connected
def backfill(client: Client, name: str, from_at: str | None, to_at: str | None, dry_run: bool) -> None:
    """
    Look for an event in the tasks that were logged before it was defined, or before it was changed.

    The server does it: stopped here, it goes on there, and the same command shows it again. Events of other
    definitions stay as they are, and what is logged meanwhile is found as always. A definition of whole sessions is
    looked for in those that are over.

    \b
    Examples:
      phospho backfill --definition refund --dry-run
      phospho backfill --definition refund --from 2026-01-01
    """
    wanted = {"definition": name, "from": from_at, "to": to_at}
    if dry_run:
        _tell_estimate(client.post(_PATH, wanted | {"dry_run": True})["estimate"])
        return
    _tell_end(_followed(client.with_retries(LONG_RUNNING), client.post(_PATH, wanted)["backfill"]))


def _followed(client: Client, state: dict[str, Any]) -> dict[str, Any]:
    """Show how far a backfill is, until it has ended, and return its last state."""
    with client, progress(state["name"], _WHOLE) as show:
        while state["status"] == "running":
            done, tasks = state["tasks_done"], state["tasks"]
            show(_WHOLE * done // max(tasks, 1), f"{done} of {tasks} tasks, {state['events_found']} events")
            time.sleep(_ASK_INTERVAL_S)
            state = client.get(f"{_PATH}/{state['backfill_id']}")["backfill"]
    return state


def _tell_end(state: dict[str, Any]) -> None:
    told = f"{state['tasks_done']} tasks read, {state['events_found']} events found"
    if state["status"] not in ("asking", "done"):
        raise Failure(f"The backfill of {state['name']} was {state['status']}: {told}.", state["detail"])
    click.echo(f"{state['name']}, version {state['definition_version']}: {told}.")
    if state["status"] == "asking":
        click.echo("What is in doubt is asked about now, inside each day's budget: see `phospho llm usage`.", err=True)


def _tell_estimate(estimate: dict[str, Any]) -> None:
    click.echo(f"{estimate['tasks']} tasks, about {estimate['seconds']:.0f} s, about {estimate['events']} events.")
    if estimate["llm_tokens"]:
        click.echo(_told_opinions(estimate))
    click.echo(f"By the latest {estimate['sampled_tasks']} tasks; nothing was changed.")


def _told_opinions(estimate: dict[str, Any]) -> str:
    """Say what an LLM would be asked after the backfill, and what of the budget that takes."""
    price = f", {estimate['llm_usd']:.2f} US dollars" if estimate["llm_usd"] else ""
    asked = f"Then about {estimate['llm_calls']:,} calls of the LLM, {estimate['llm_tokens']:,} tokens{price}"
    if estimate["llm_days"] is None:
        return f"{asked}: none of them is made, as the project's llm_daily_tokens is 0."
    return f"{asked}, inside the project's budget of {_days(estimate['llm_days'])}."


def _days(count: int) -> str:
    return "1 day" if count == 1 else f"{count:,} days"
