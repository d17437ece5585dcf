"""`phospho backfill`: run a definition over past tasks."""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Sequence
from typing import Any

import click

from phospho_cli.client.failures import Failure
from phospho_cli.client.http import LONG_RUNNING, Client, connected
from phospho_cli.client.output import progress

_PATH = "/api/v1/backfills"
_POLL_INTERVAL_S = 0.5
# The size of the progress bar: the number of tasks is known once the server has begun.
_PROGRESS_STEPS = 1_000


@click.command()
@click.option("--definition", "name", required=True, metavar="NAME", help="Definition to run, in its current version.")
@click.option("--from", "from_at", metavar="TIME", help="Tasks from this time on, such as 2026-01-31 [default: all].")
@click.option(
    "--to", "to_at", metavar="TIME", help="Tasks up to this time; a day without a time is included [default: all]."
)
@click.option("--dry-run", is_flag=True, help="Show the cost, and run nothing.")
@connected
def backfill(client: Client, name: str, from_at: str | None, to_at: str | None, dry_run: bool) -> None:
    """
    Detect an event in tasks that were logged before its definition was made or changed.

    It runs on the server: if you stop this command it goes on, and the same command follows it again. Events of other
    definitions stay, and new tasks are detected as usual. A definition of whole sessions runs over ended sessions.

    \b
    Examples:
      phospho backfill --definition refund --dry-run
      phospho backfill --definition refund --from 2026-01-01
    """
    body = {"definition": name, "from": from_at, "to": to_at}
    if dry_run:
        _print_estimate(client.post(_PATH, body | {"dry_run": True})["estimate"])
        return
    _print_result(_follow(client.with_retries(LONG_RUNNING), client.post(_PATH, body)["backfill"]))


def offer_backfills(client: Client, names: Sequence[str], wanted: bool | None) -> None:
    """
    Run definitions on existing tasks where `wanted`, or where a person agrees to the estimate.

    Without a terminal to ask on, print the command instead.
    """
    if wanted is None and not (sys.stdin.isatty() and sys.stdout.isatty()):
        commands = "".join(f"\n  phospho backfill --definition {shlex.quote(name)}" for name in names)
        click.echo(f"They apply to tasks from now on. To run them on existing tasks:{commands}", err=True)
        return
    for name in names if wanted is not False else ():
        body = {"definition": name, "from": None, "to": None}
        if wanted is None:
            estimate = client.post(_PATH, body | {"dry_run": True})["estimate"]
            if not estimate["tasks"]:
                continue
            cost = f"\n{_llm_cost(estimate)}" if estimate["llm_tokens"] else ""
            click.echo(f"About {estimate['seconds']:.0f} s, about {estimate['events']:,} events.{cost}")
            if not click.confirm(f"Run {name} on {estimate['tasks']:,} existing tasks?", default=True):
                continue
        _print_result(_follow(client.with_retries(LONG_RUNNING), client.post(_PATH, body)["backfill"]))


def _follow(client: Client, state: dict[str, Any]) -> dict[str, Any]:
    """Show a backfill's progress until it ends, and return its last state."""
    with client, progress(state["name"], _PROGRESS_STEPS) as show:
        while state["status"] == "running":
            done, tasks = state["tasks_done"], state["tasks"]
            show(_PROGRESS_STEPS * done // max(tasks, 1), f"{done} of {tasks} tasks, {state['events_found']} events")
            time.sleep(_POLL_INTERVAL_S)
            state = client.get(f"{_PATH}/{state['backfill_id']}")["backfill"]
    return state


def _print_result(state: dict[str, Any]) -> None:
    result = f"{state['tasks_done']} tasks read, {state['events_found']} events found"
    if state["status"] not in ("judging", "done"):
        raise Failure(f"The backfill of {state['name']} was {state['status']}: {result}.", state["detail"])
    click.echo(f"{state['name']}, version {state['definition_version']}: {result}.")
    if state["status"] == "judging":
        click.echo("Uncertain events are now judged within each day's budget: see `phospho llm usage`.", err=True)


def _print_estimate(estimate: dict[str, Any]) -> None:
    click.echo(f"{estimate['tasks']} tasks, about {estimate['seconds']:.0f} s, about {estimate['events']} events.")
    if estimate["llm_tokens"]:
        click.echo(_llm_cost(estimate))
    click.echo(f"Estimated from the latest {estimate['sampled_tasks']} tasks; nothing was changed.")


def _llm_cost(estimate: dict[str, Any]) -> str:
    """Return what the judgements after the backfill cost, and how much of the budget."""
    price = f", {estimate['llm_usd']:.2f} US dollars" if estimate["llm_usd"] else ""
    cost = f"Then about {estimate['llm_calls']:,} calls of the LLM, {estimate['llm_tokens']:,} tokens{price}"
    if estimate["llm_days"] is None:
        return f"{cost}: none is made, because the project's llm_daily_tokens is 0."
    days = "1 day" if estimate["llm_days"] == 1 else f"{estimate['llm_days']:,} days"
    return f"{cost}, the project's budget of {days}."
