"""`phospho projects`: what keys, tasks and definitions belong to."""

from __future__ import annotations

import click

from phospho_workers.cli.client import Client, connected
from phospho_workers.cli.tables import print_table

_PATH = "/api/v1/projects"


@click.group("projects")
def projects() -> None:
    """
    Create and list projects. To create one needs the administrator's token.

    \b
    Examples:
      phospho projects create support-bot --name "Support bot" --retention-days 90
      phospho projects list
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
