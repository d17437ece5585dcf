"""Commands of what runs beside the stream: backfill, webhooks, versions of definitions, switches of projects."""

from __future__ import annotations

import pytest

from cli.conftest import Run
from cli.fake_server import FakeServer
from phospho_cli.commands.definitions import backfill


def state(status: str = "running", done: int = 0, **fields: object) -> dict[str, object]:
    known = {"backfill_id": "backfill_1", "name": "refund", "definition_version": 2, "detail": "", "status": status}
    return known | {"tasks": 4, "tasks_done": done, "events_found": done // 2} | fields


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backfill, "_POLL_INTERVAL_S", 0.0)


def test_backfill_is_followed_to_its_end(run: Run, server: FakeServer) -> None:
    server.backfill.extend([state(), state(done=2), state("done", 4)])
    done = run("backfill", "--definition", "refund", "--from", "2026-01-01")
    assert (done.exit_code, done.stdout) == (0, "refund, version 2: 4 tasks read, 2 events found.\n")
    [asked] = [one for one in server.of("/api/v1/backfills") if one.method == "POST"]
    assert asked.document == {"definition": "refund", "from": "2026-01-01", "to": None}


def test_backfill_does_not_wait_for_judgements(run: Run, server: FakeServer) -> None:
    server.backfill.extend([state(), state("judging", 4)])
    done = run("backfill", "--definition", "refund")
    assert (done.exit_code, done.stdout) == (0, "refund, version 2: 4 tasks read, 2 events found.\n")
    assert "now judged within each day's budget" in done.stderr


def test_backfill_reports_that_it_was_superseded(run: Run, server: FakeServer) -> None:
    server.backfill.extend([state(), state("superseded", 2, detail="the definition has another version now")])
    done = run("backfill", "--definition", "refund")
    assert done.exit_code == 1
    assert "superseded: 2 tasks read" in done.stderr
    assert "another version now" in done.stderr


def test_backfill_outlives_a_restart_of_the_server(run: Run, server: FakeServer) -> None:
    server.backfill.extend([state(), state("done", 4)])
    server.refuse_next("/api/v1/backfills/backfill_1", 503, times=5)
    assert run("backfill", "--definition", "refund").exit_code == 0


def test_backfill_dry_run_prints_the_cost(run: Run, server: FakeServer) -> None:
    done = run("backfill", "--definition", "refund", "--dry-run")
    assert "9000 tasks, about 4 s, about 90 events." in done.stdout
    cost = "Then about 200 calls of the LLM, 70,000 tokens, 0.50 US dollars, the project's budget of 2 days."
    assert cost in done.stdout


def test_webhooks_add_list_test_and_remove(run: Run, server: FakeServer) -> None:
    added = run("webhooks", "add", "https://example.com/hook", "--event", "refund", "--event", "angry")
    assert "whsec_shown-once" in added.stdout
    assert server.of("/api/v1/webhooks")[0].document == {
        "url": "https://example.com/hook",
        "events": ["refund", "angry"],
        "evidence": False,
    }
    run("webhooks", "add", "https://example.com/hook", "--evidence")
    assert server.of("/api/v1/webhooks")[1].document == {
        "url": "https://example.com/hook",
        "events": [],
        "evidence": True,
    }
    listed = run("webhooks", "list").stdout
    assert "https://example.com/hook" in listed
    assert "whsec" not in listed
    assert run("webhooks", "test", "hook_1").stdout == "It answered HTTP 200.\n"
    failed = run("webhooks", "test", "hook_2")
    assert (failed.exit_code, "no answer" in failed.stderr) == (1, True)
    assert run("webhooks", "remove", "hook_1").exit_code == 0
    assert server.webhooks == []


def test_webhooks_add_refuses_an_undefined_event_with_a_hint(run: Run, server: FakeServer) -> None:
    server.refuse_next("/api/v1/webhooks", 422, "there is no event 'refnud' in this project", "define it first")
    refused = run("webhooks", "add", "https://example.com/hook", "--event", "refnud")
    assert (refused.exit_code, refused.stdout, server.webhooks) == (1, "", [])
    assert "no event 'refnud'" in refused.stderr
    assert "define it first" in refused.stderr.lower()


def test_definitions_history_lists_the_versions(run: Run) -> None:
    lines = run("definitions", "history", "refund").stdout.splitlines()
    assert [line.split("\t")[0] for line in lines] == ["version", "2", "1"]


def test_definitions_diff_shows_the_changes_of_a_file(run: Run, server: FakeServer) -> None:
    example = {"task_id": "t1", "score": 0.876, "evidence": "money", "input": "my money", "output": ""}
    counts = {"tasks": 50, "newly_found": 1, "no_longer_found": 0, "found_by_both": 3}
    server.diff = counts | {"examples": {"newly": [example], "no_longer": []}}
    text = "definitions: [{name: other, description: x}, {name: refund, engine: keyword, keywords: [money]}]"
    done = run("definitions", "diff", "refund", "--file", "-", stdin=text)
    assert "in 50 tasks 1 newly found, 0 no longer found, 3 found by both" in done.stdout
    assert "+\t0.88\tmoney\tt1" in done.stdout
    [asked] = server.of("/api/v1/definitions/refund/diff")
    wanted = {"name": "refund", "engine": "keyword", "keywords": ["money"]}
    assert asked.document == {"definition": wanted, "tasks": 2000}


def test_definitions_diff_needs_the_definition_in_the_file(run: Run, server: FakeServer) -> None:
    done = run("definitions", "diff", "refund", "--file", "-", stdin="definitions: [{name: other, description: x}]")
    assert (done.exit_code, "it has other" in done.stderr) == (2, True)
    assert server.requests == []


def test_projects_settings_are_shown_and_changed(run: Run, server: FakeServer) -> None:
    server.projects["shop"] = {"project_id": "shop", "settings": {"detect_events": True}}
    changed = run("projects", "settings", "shop", "detect_sentiment=false", "session_idle_minutes=15")
    assert changed.stdout.splitlines()[1:] == [
        "detect_events\tTrue",
        "detect_sentiment\tFalse",
        "session_idle_minutes\t15",
    ]
    assert run("projects", "settings", "shop", "detect_sentiment").exit_code == 2
    assert run("projects", "settings", "unknown").exit_code == 1
