"""`phospho forget`: delete all that was logged about a user, a session or a task."""

from __future__ import annotations

import json
from pathlib import Path

import click

from phospho_cli.client.http import Client, connected
from phospho_cli.client.output import print_json


@click.command()
@click.option("--user", "user_id", default="", help="Id of an end user.")
@click.option("--session", "session_id", default="", help="Id of a session.")
@click.option("--task", "task_id", default="", help="Id of a task.")
@click.option(
    "--verify",
    "report_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Check the signature of a report instead.",
)
@connected
def forget(client: Client, user_id: str, session_id: str, task_id: str, report_file: Path | None) -> None:
    """
    Forget a user, a session or a task, and print a signed report.

    All that was logged about it up to now is deleted from every table and dead letter, and classifiers are learnt
    anew from the rest. Messages that wait in a topic, or are replayed later, are dropped. What is logged afterwards
    under the same id is stored. Needs an admin key. Safe to repeat.

    \b
    Examples:
      phospho forget --user u_42 > report.json
      phospho forget --verify report.json
    """
    if report_file is not None:
        _verify(client, report_file)
        return
    subject = {"user_id": user_id, "session_id": session_id, "task_id": task_id}
    named = {name: value for name, value in subject.items() if value}
    if len(named) != 1:
        raise click.UsageError("Give one of --user, --session and --task, or --verify.")
    print_json(client.post("/api/v1/forget", named))


def _verify(client: Client, report_file: Path) -> None:
    try:
        report = json.loads(report_file.read_text("utf-8"))
    except ValueError as error:
        raise click.ClickException(f"{report_file} is not a report: {error}") from error
    if not client.post("/api/v1/forget/verify", report)["is_valid"]:
        raise click.ClickException(f"{report_file} was not signed by this installation, or was changed.")
    click.echo("The signature is valid.")
