"""`phospho alerts`: conditions on metrics, and who is told when they are met."""

from __future__ import annotations

from typing import Any, get_args

import click

from phospho_cli.client.failures import Failure
from phospho_cli.client.http import Client, connected
from phospho_cli.client.output import print_table
from phospho_schemas.rows.alerts import THEME_FACTS, WINDOWS, AlertMetric

_PATH = "/api/v1/alerts"
_CONDITIONS = ("above", "below", "rises", "falls")


@click.group("alerts")
def alerts() -> None:
    """
    Watch a metric, and notify a channel when it crosses a threshold.

    \b
    Examples:
      phospho alerts create success_rate --below 80% --slack https://hooks.slack.com/services/…
      phospho alerts create event_rate --subject frustration --rises 100% --window 1440 --email ops@example.com
      phospho alerts create tasks --absent --window 60 --teams https://…
      phospho alerts create new_theme --webhook https://example.com/hook
      phospho alerts list
      phospho alerts mute alert_0123456789abcdef --minutes 120
    """


@alerts.command("create")
@click.argument("metric", type=click.Choice(get_args(AlertMetric)))
@click.option("--name", default="", help="Title of its messages; by default the metric.")
@click.option("--subject", default="", metavar="NAME", help="Event, or id of the theme, that the metric is of.")
@click.option(
    "--above", metavar="VALUE", help="Fire above this value: 25%, or 0.25 of a share; milliseconds of a latency."
)
@click.option("--below", metavar="VALUE", help="Fire below this value.")
@click.option("--rises", metavar="PERCENT", help="Fire when it rises by more than so many percent.")
@click.option("--falls", metavar="PERCENT", help="Fire when it falls by more than so many percent.")
@click.option("--absent", is_flag=True, help="Fire when it is zero.")
@click.option(
    "--window", default="60", type=click.Choice([str(minutes) for minutes in WINDOWS]), show_default=True,
    help="Minutes over which the metric is read.",
)  # fmt: skip
@click.option("--filter", "filters", multiple=True, metavar="NAME=VALUE", help="Such as version=v2; repeatable.")
@click.option("--min-cases", default=20, show_default=True, help="A rate or a change of fewer cases says nothing.")
@click.option("--slack", multiple=True, metavar="URL", help="Incoming webhook of Slack; repeatable.")
@click.option("--teams", multiple=True, metavar="URL", help="Workflow webhook of Microsoft Teams; repeatable.")
@click.option("--webhook", multiple=True, metavar="URL", help="URL that gets signed messages; repeatable.")
@click.option("--email", multiple=True, metavar="ADDRESS", help="E-mail address; repeatable.")
@click.option("--preview", is_flag=True, help="Create nothing: say how often it would have fired in the last 30 days.")
@connected
def create(client: Client, metric: str, *, preview: bool, **given: Any) -> None:
    """Create an alert on METRIC, and print its id."""
    body = _body(metric, given)
    if preview:
        _print_preview(client.post(f"{_PATH}/preview", body))
        return
    answer = client.post(_PATH, body, is_repeatable=False)
    click.echo(f"Alert {answer['alert']['alert_id']} was created: {answer['alert']['text']}.")
    for channel in answer["channels"]:
        if "secret" in channel:
            click.echo(f"The secret of its webhook, shown only once: {channel['secret']}")


@alerts.command("list")
@connected
def list_alerts(client: Client) -> None:
    """List the alerts, those that fire first."""
    rows = [
        row | {"state": row["status"] + (" (muted)" if row["is_muted"] else ""), "value": row["value_text"]}
        for row in client.get(_PATH)["alerts"]
    ]
    sent_to = [", ".join(channel["format"] for channel in row["channels"]) for row in rows]
    rows = [row | {"channels": names} for row, names in zip(rows, sent_to, strict=True)]
    print_table(("alert_id", "state", "name", "text", "value", "since_at", "channels"), rows)


@alerts.command("delete")
@click.argument("alert_id", metavar="ID")
@connected
def delete(client: Client, alert_id: str) -> None:
    """Delete the alert ID, its channels and their pending messages."""
    client.delete(f"{_PATH}/{alert_id}")
    click.echo(f"{alert_id} was deleted.")


@alerts.command("mute")
@click.argument("alert_id", metavar="ID")
@click.option("--minutes", default=60, show_default=True, type=click.IntRange(0), help="For how long; 0 ends it.")
@connected
def mute(client: Client, alert_id: str, minutes: int) -> None:
    """Send nothing of the alert ID for a time. It is evaluated all the same."""
    alert = client.post(f"{_PATH}/{alert_id}/mute", {"minutes": minutes})["alert"]
    click.echo(f"{alert_id} is muted until {alert['muted_until_at']}." if minutes else f"{alert_id} is not muted.")


@alerts.command("test")
@click.argument("alert_id", metavar="ID")
@connected
def test(client: Client, alert_id: str) -> None:
    """Send each channel of the alert ID a test message, and show the answers."""
    outcomes = client.post(f"{_PATH}/{alert_id}/test", {})["channels"]
    if not outcomes:
        raise Failure("The alert has no channel.", "Create one with --slack, --teams, --webhook or --email.")
    for outcome in outcomes:
        click.echo(
            f"{outcome['format']}: {'delivered, ' if outcome['is_delivered'] else 'failed, '}{outcome['detail']}."
        )
    if not all(outcome["is_delivered"] for outcome in outcomes):
        raise Failure("A message did not arrive.", "Changes of an alert are retried for about half a day.")


def _body(metric: str, given: dict[str, Any]) -> dict[str, Any]:
    """Return the body of a new alert. Raises Failure where its condition is not clear."""
    conditions = [(name, given[name]) for name in _CONDITIONS if given[name] is not None]
    conditions += [("absent", "0")] if given["absent"] else []
    conditions += [("occurs", "0")] if metric in THEME_FACTS else []
    if len(conditions) != 1:
        raise Failure("An alert has one condition.", "Give one of --above, --below, --rises, --falls and --absent.")
    [(condition, threshold)] = conditions
    channels = [{"format": name, "to": to} for name in ("slack", "teams", "webhook", "email") for to in given[name]]
    return {
        "name": given["name"] or " ".join(filter(None, (metric, given["subject"]))),
        "metric": metric,
        "subject": given["subject"],
        "condition": condition,
        "threshold": _number(threshold, is_change=condition in ("rises", "falls")),
        "window_minutes": int(given["window"]),
        "filters": dict(_pair(text) for text in given["filters"]),
        "min_cases": given["min_cases"],
        "channels": channels,
    }


def _number(text: str, *, is_change: bool) -> float:
    """Return a threshold; that of a change is a percentage, with or without its sign."""
    try:
        number = float(text.removesuffix("%"))
    except ValueError:
        raise Failure(f"{text!r} is not a number.", "Such as 0.25, 25% or 1500.") from None
    return number / 100 if text.endswith("%") and not is_change else number


def _pair(text: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not sign:
        raise Failure(f"{text!r} is not a filter.", "Such as version=v2.")
    return name, value


def _print_preview(preview: dict[str, Any]) -> None:
    if preview["fired"] is None:
        raise Failure("This alert can't be previewed.", "It compares themes as they were found.")
    times = "once" if preview["fired"] == 1 else f"{preview['fired']} times"
    click.echo(f"{preview['text']}: it would have fired {times} in the last {preview['days']} days.")
    print_table(("fired_at", "resolved_at", "value_text"), preview["firings"])
