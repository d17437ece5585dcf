"""`phospho alerts`: the body of a new alert, and what the answers say."""

from __future__ import annotations

import pytest

from cli.conftest import Run
from cli.fake_server import FakeServer

PATH = "/api/v1/alerts"


def test_alerts_create_list_mute_test_and_delete(run: Run, server: FakeServer) -> None:
    options = ("--subject", "refund", "--above", "10%", "--window", "1440", "--filter", "version=v=2")
    created = run("alerts", "create", "event_rate", *options, "--slack", "https://s", "--webhook", "https://w")
    assert "alert_1 was created" in created.stdout
    assert "whsec_shown-once" in created.stdout
    assert server.of(PATH)[0].document == {
        "name": "event_rate refund",
        "metric": "event_rate",
        "subject": "refund",
        "condition": "above",
        "threshold": 0.1,
        "window_minutes": 1440,
        "filters": {"version": "v=2"},
        "min_cases": 20,
        "channels": [{"format": "slack", "to": "https://s"}, {"format": "webhook", "to": "https://w"}],
    }
    assert "firing (muted)" in run("alerts", "list").stdout
    assert "muted until" in run("alerts", "mute", "alert_1", "--minutes", "30").stdout
    assert server.of(f"{PATH}/alert_1/mute")[0].document == {"minutes": 30}
    assert run("alerts", "test", "alert_1").stdout == "slack: delivered, HTTP 200.\n"
    assert run("alerts", "test", "alert_2").exit_code == 1
    assert run("alerts", "delete", "alert_1").exit_code == 0


def test_alerts_create_previews_without_creating(run: Run, server: FakeServer) -> None:
    preview = run("alerts", "create", "tasks", "--rises", "100%", "--preview")
    assert "it would have fired once in the last 30 days" in preview.stdout
    assert server.of(PATH) == []
    # A change is a percentage, not a fraction.
    assert server.of(f"{PATH}/preview")[0].document["threshold"] == 100.0


@pytest.mark.parametrize(
    "options", [(), ("--above", "1", "--absent"), ("--above", "much"), ("--above", "1", "--filter", "x")]
)
def test_alerts_create_refuses_an_unclear_condition(run: Run, server: FakeServer, options: tuple[str, ...]) -> None:
    refused = run("alerts", "create", "tasks", *options)
    assert (refused.exit_code, server.of(PATH)) == (1, [])
