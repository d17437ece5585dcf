"""`phospho projects`: projects, which keys, tasks and definitions belong to."""

from __future__ import annotations

import json
from typing import Any

import click

from phospho_cli.client.failures import Failure
from phospho_cli.client.http import Client, connected
from phospho_cli.client.output import print_table

_PATH = "/api/v1/projects"


@click.group("projects")
def projects() -> None:
    """
    Create, list and change projects. Creating one needs the administrator's token.

    \b
    Examples:
      phospho projects create support-bot --name "Support bot" --retention-days 90
      phospho projects list
      phospho projects settings support-bot detect_sentiment=false session_idle_minutes=15
    """


@projects.command("create")
@click.argument("project_id", metavar="ID")
@click.option("--name", help="Display name [default: the ID].")
@click.option("--retention-days", type=click.IntRange(0), help="Delete older tasks [default: 0, keep forever].")
@connected
def create(client: Client, project_id: str, name: str | None, retention_days: int | None) -> None:
    """Create the project ID, of letters, digits, dots, dashes and underscores."""
    fields = {"project_id": project_id, "name": name, "retention_days": retention_days}
    answer = client.post(_PATH, {field: value for field, value in fields.items() if value is not None})
    click.echo(f"Project {answer['project']['project_id']} was created.")


@projects.command("list")
@connected
def list_projects(client: Client) -> None:
    """List the projects that the key may read."""
    print_table(("project_id", "name", "retention_days", "created_at"), client.get(_PATH)["projects"])


@projects.command("settings")
@click.argument("project_id", metavar="ID")
@click.argument("changes", nargs=-1, metavar="[NAME=VALUE]...")
@connected
def settings(client: Client, project_id: str, changes: tuple[str, ...]) -> None:
    """
    Show the settings of the project ID, after the changes NAME=VALUE.

    \b
    detect_events, detect_sentiment, detect_language,
    detect_themes                                      true or false: run this part of detection
    output_themes                                      true or false: find themes in outputs too
    session_idle_minutes   1 to 10080: a session ends after this long without a task
    llm_daily_tokens       tokens a day for judgements (UTC); 0: no LLM is asked
    llm_daily_usd          US dollars a day for judgements; 0: no cost limit
    llm_sample             0 to 1: share of the tasks that the llm engine reads
    webhook_wait_s         0 to 3600: seconds to hold an uncertain event for the judge
    mask                   a JSON list of email, phone, card, iban, ip: what the gateway replaces in texts
    max_tasks_per_day      more get 429 until midnight UTC; 0: no limit
    time_zone              of buckets, filters and days, such as Europe/Paris
    """
    if changes:
        client.patch(f"{_PATH}/{project_id}", {"settings": dict(_change(text) for text in changes)})
    rows = client.get(_PATH)["projects"]
    project = next((row for row in rows if row["project_id"] == project_id), None)
    if project is None:
        raise Failure(f"There is no project {project_id}.", "List them with `phospho projects list`.")
    print_table(("name", "value"), [{"name": name, "value": value} for name, value in project["settings"].items()])


def _change(text: str) -> tuple[str, Any]:
    """Return the name and the value of `name=value`; a value that is not JSON is text."""
    name, equals, value = text.partition("=")
    if not equals:
        raise click.UsageError(f"{text!r} is not NAME=VALUE.")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value
