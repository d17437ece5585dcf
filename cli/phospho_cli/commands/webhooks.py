"""`phospho webhooks`: who is told of events."""

from __future__ import annotations

import click

from phospho_cli.client.failures import Failure
from phospho_cli.client.http import Client
from phospho_cli.client.options import connected
from phospho_cli.client.tables import print_table

_PATH = "/api/v1/webhooks"


@click.group("webhooks")
def webhooks() -> None:
    """
    Tell others of events as they are found, by HTTP, signed as standardwebhooks.com describes.

    \b
    Examples:
      phospho webhooks add https://example.com/hook --event refund
      phospho webhooks list
      phospho webhooks test hook_0123456789abcdef
      phospho webhooks remove hook_0123456789abcdef
    """


@webhooks.command("add")
@click.argument("url")
@click.option(
    "--event",
    "events",
    multiple=True,
    metavar="NAME",
    help="Of this event only, which has a definition; may be repeated.",
)
@click.option("--evidence", "with_evidence", is_flag=True, help="Tell the words of the task that show the event.")
@connected
def add(client: Client, url: str, events: tuple[str, ...], with_evidence: bool) -> None:
    """
    Tell URL of every event that is found from now on.

    The secret that its messages are signed with is shown once. Addresses that are not public are refused, save those
    that PHOSPHO_WEBHOOK_ALLOWED_NETWORKS of the server names. Without --evidence no text of a task is told.
    """
    body = {"url": url, "events": list(events), "evidence": with_evidence}
    answer = client.post(_PATH, body, is_repeatable=False)
    click.echo(f"Webhook {answer['webhook']['webhook_id']} is added.")
    click.echo(f"Its secret, shown once: {answer['secret']}")


@webhooks.command("list")
@connected
def list_webhooks(client: Client) -> None:
    """
    List the project's webhooks, and what became of what they were told.

    One is off once its receiver has answered 410: it is gone. Added anew, it is told again.
    """
    columns = ("webhook_id", "state", "url", "event_names", "delivered", "pending", "dead", "last_failure")
    found = client.get(_PATH)["webhooks"]
    print_table(columns, [one | {"state": "off: HTTP 410" if one.get("is_gone") else "on"} for one in found])


@webhooks.command("remove")
@click.argument("webhook_id", metavar="ID")
@connected
def remove(client: Client, webhook_id: str) -> None:
    """Tell the webhook ID no more; what waits for it is let go."""
    client.delete(f"{_PATH}/{webhook_id}")
    click.echo(f"{webhook_id} is removed.")


@webhooks.command("test")
@click.argument("webhook_id", metavar="ID")
@connected
def test(client: Client, webhook_id: str) -> None:
    """Send the webhook ID one signed message that tells of no event, and say what it answers."""
    told = client.post(f"{_PATH}/{webhook_id}/test", {})
    if not told["is_delivered"]:
        reason = told.get("detail") or f"it answered HTTP {told['status']}"
        raise Failure(f"The message did not arrive: {reason}.", "Events are tried again for about half a day.")
    click.echo(f"It answered HTTP {told['status']}.")
