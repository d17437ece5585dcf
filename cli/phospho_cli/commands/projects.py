"""`phospho projects`: what keys, tasks and definitions belong to."""

from __future__ import annotations

import json
from typing import Any

import click

from phospho_cli.client.failures import Failure
from phospho_cli.client.http import Client
from phospho_cli.client.options import connected
from phospho_cli.client.tables import print_table

_PATH = "/api/v1/projects"


@click.group("projects")
def projects() -> None:
    """
    Create, list and change projects. To create one needs the administrator's token.

    \b
    Examples:
      phospho projects create support-bot --name "Support bot" --retention-days 90
      phospho projects list
      phospho projects settings support-bot detect_sentiment=false session_idle_minutes=15
    """


@projects.command("create")
@click.argument("project_id", metavar="ID")
@click.option("--name", help="What people call it [default: the ID].")
@click.option("--retention-days", type=click.IntRange(0), help="Days after which its rows go [default: 0, never].")
@connected
def create(client: Client, project_id: str, name: str | None, retention_days: int | None) -> None:
    """Create the project ID. Letters, digits, dots, dashes and underscores make an ID."""
    given = {"project_id": project_id, "name": name, "retention_days": retention_days}
    answer = client.post(_PATH, {field: value for field, value in given.items() if value is not None})
    click.echo(f"Project {answer['project']['project_id']} is created.")


@projects.command("list")
@connected
def list_projects(client: Client) -> None:
    """List the projects that the key may see."""
    print_table(("project_id", "name", "retention_days", "created_at"), client.get(_PATH)["projects"])


@projects.command("settings")
@click.argument("project_id", metavar="ID")
@click.argument("changes", nargs=-1, metavar="[NAME=VALUE]...")
@connected
def settings(client: Client, project_id: str, changes: tuple[str, ...]) -> None:
    """
    Show what the project ID switches, and its bounds; NAME=VALUE changes them first.

    \b
    detect_events, detect_sentiment, detect_language   true or false: whether tasks are looked at for it
    session_idle_minutes   1 to 10080: a session is over after so long without a task
    llm_daily_tokens       tokens a day for judgements (UTC); 0: no LLM is asked
    llm_daily_usd          US dollars a day for judgements; 0: no bound in money
    llm_sample             0 to 1: the share of the tasks that the engine llm reads
    webhook_wait_s         0 to 3600: webhooks wait so many seconds for a judgement
    max_tasks_per_day      more are refused with 429 until midnight UTC; 0 sets no bound
    """
    if changes:
        client.patch(f"{_PATH}/{project_id}", {"settings": dict(_change(text) for text in changes)})
    found = next((one for one in client.get(_PATH)["projects"] if one["project_id"] == project_id), None)
    if found is None:
        raise Failure(f"There is no project {project_id}.", "List them with `phospho projects list`.")
    print_table(("name", "value"), [{"name": name, "value": value} for name, value in found["settings"].items()])


def _change(text: str) -> tuple[str, Any]:
    """Return the name and the value, as JSON has it, of `name=value`; what is no JSON is text."""
    name, equals, value = text.partition("=")
    if not equals:
        raise click.UsageError(f"{text!r} is not NAME=VALUE.")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value
