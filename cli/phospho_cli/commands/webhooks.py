"""`phospho webhooks`: events sent to other systems by HTTP."""

from __future__ import annotations

import click

from phospho_cli.client.failures import Failure
from phospho_cli.client.http import Client, connected
from phospho_cli.client.output import print_table

_PATH = "/api/v1/webhooks"


@click.group("webhooks")
def webhooks() -> None:
    """
    Send events to other systems by HTTP as they are found, signed as in standardwebhooks.com.

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
    help="Send this event only; repeatable. It must be defined.",
)
@click.option("--evidence", "with_evidence", is_flag=True, help="Include the words of the task that show the event.")
@connected
def add(client: Client, url: str, events: tuple[str, ...], with_evidence: bool) -> None:
    """
    Send every event from now on to URL.

    The secret that signs the messages is shown only once. Private addresses are refused, except those in the server's
    PHOSPHO_WEBHOOK_ALLOWED_NETWORKS. Without --evidence a message has no text of the task.
    """
    body = {"url": url, "events": list(events), "evidence": with_evidence}
    answer = client.post(_PATH, body, is_repeatable=False)
    click.echo(f"Webhook {answer['webhook']['webhook_id']} was added.")
    click.echo(f"Its secret, shown only once: {answer['secret']}")


@webhooks.command("list")
@connected
def list_webhooks(client: Client) -> None:
    """
    List the project's webhooks and their deliveries.

    A webhook is off once its receiver has answered 410. Add it again to turn it on.
    """
    columns = ("webhook_id", "state", "url", "event_names", "delivered", "pending", "dead", "last_failure")
    rows = client.get(_PATH)["webhooks"]
    print_table(columns, [row | {"state": "off: HTTP 410" if row.get("is_gone") else "on"} for row in rows])


@webhooks.command("remove")
@click.argument("webhook_id", metavar="ID")
@connected
def remove(client: Client, webhook_id: str) -> None:
    """Remove the webhook ID and its pending deliveries."""
    client.delete(f"{_PATH}/{webhook_id}")
    click.echo(f"{webhook_id} was removed.")


@webhooks.command("test")
@click.argument("webhook_id", metavar="ID")
@connected
def test(client: Client, webhook_id: str) -> None:
    """Send the webhook ID one signed message without an event, and show the answer."""
    attempt = client.post(f"{_PATH}/{webhook_id}/test", {})
    if not attempt["is_delivered"]:
        reason = attempt.get("detail") or f"it answered HTTP {attempt['status']}"
        raise Failure(f"The message did not arrive: {reason}.", "Events are retried for about half a day.")
    click.echo(f"It answered HTTP {attempt['status']}.")
