"""Retention: what has expired goes, whole, and nothing else."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime

import pytest
from click.testing import CliRunner

from fixtures.clickhouse_server import ClickHouseServer
from fixtures.server_process import free_port
from phospho_cli.commands.operations.retention import retention
from phospho_store.clickhouse import remote
from phospho_store.errors import StoreUnavailable
from phospho_store.migrations import migrate
from phospho_store.registry.registry import Registry
from phospho_store.retention import Deleted, enforce, enforce_hourly
from phospho_store.store import Store
from store.facts import analysis, dead_letter, feedback, insert, judgement, label, note, task, view

NOW = datetime(2026, 3, 31, 12, tzinfo=UTC)
# Of a project that keeps 30 days.
LAST_KEPT, FIRST_EXPIRED = "2026-03-01T12:00:00.000Z", "2026-03-01T11:59:59.999Z"
TABLES = ("task_rows", "analysis_rows", "feedback_rows", "dead_letter_rows")


@pytest.fixture
def project_id(registry: Registry, fresh_project: Callable[[], str]) -> Iterator[str]:
    """A project of one test. Afterwards it keeps everything, or each later test would go through its tables too."""
    project_id = fresh_project()
    yield project_id
    registry.save_project(project_id, retention_days=0)


def insert_all(store: Store, project_id: str, name: str, moment: str, revision: int = 1) -> None:
    insert(store, "task_rows", task(project_id, name, revision, created_at=moment))
    insert(store, "analysis_rows", analysis(project_id, name, revision, ["refund"], created_at=moment))
    insert(store, "feedback_rows", feedback(project_id, name, "f", revision, created_at=moment))
    insert(store, "dead_letter_rows", dead_letter(project_id, name, revision, received_at=moment))


def names(store: Store, project_id: str) -> dict[str, list[str]]:
    """Return what every table has of a project, superseded rows included."""
    found = {}
    for table in TABLES:
        column = "dead_letter_id" if table == "dead_letter_rows" else "task_id"
        found[table] = [row[column] for row in view(store, table, project_id, column)]
    return found


def everywhere(*names: str) -> dict[str, list[str]]:
    """Return what `names` says where every table has these."""
    return {table: [*names] for table in TABLES}


def deleted(store: Store, registry: Registry, project_id: str, **options: int) -> dict[str, int]:
    """Enforce retention, and return how much of each table of a project was deleted."""
    done = list(enforce(store, registry, NOW, **options))
    return {one.table: one.identities for one in done if one.project_id == project_id}


def test_what_is_older_goes_and_the_rest_stays_to_the_millisecond(
    store: Store, registry: Registry, project_id: str
) -> None:
    registry.save_project(project_id, retention_days=30)
    insert_all(store, project_id, "kept", LAST_KEPT)
    insert_all(store, project_id, "expired", FIRST_EXPIRED)
    assert deleted(store, registry, project_id) == dict.fromkeys(TABLES, 1)
    assert names(store, project_id) == everywhere("kept")
    assert [session["tasks"] for session in view(store, "sessions", project_id)] == [1]
    assert [found["task_id"] for found in view(store, "events", project_id)] == ["kept"]


def test_again_deletes_nothing(store: Store, registry: Registry, project_id: str) -> None:
    registry.save_project(project_id, retention_days=30)
    insert_all(store, project_id, "expired", FIRST_EXPIRED)
    deleted(store, registry, project_id)
    assert deleted(store, registry, project_id) == {}


def test_0_days_and_another_projects_days_keep_everything(store: Store, registry: Registry, project_id: str) -> None:
    registry.save_project(project_id)
    registry.save_project(project_id + "-other", retention_days=1)
    insert_all(store, project_id, "old", "2001-01-01T00:00:00.000Z")
    assert deleted(store, registry, project_id) == {}
    assert names(store, project_id) == everywhere("old")


def test_no_older_revision_of_an_expired_task_comes_up_again(store: Store, registry: Registry, project_id: str) -> None:
    registry.save_project(project_id, retention_days=30)
    insert_all(store, project_id, "moved back", LAST_KEPT, revision=1)
    insert_all(store, project_id, "moved back", FIRST_EXPIRED, revision=2)
    assert deleted(store, registry, project_id) == dict.fromkeys(TABLES, 1)
    assert names(store, project_id) == everywhere()


def test_an_old_revision_of_a_task_that_is_kept_does_not_expire_it(
    store: Store, registry: Registry, project_id: str
) -> None:
    registry.save_project(project_id, retention_days=30)
    insert_all(store, project_id, "moved on", FIRST_EXPIRED, revision=1)
    insert_all(store, project_id, "moved on", LAST_KEPT, revision=2)
    assert deleted(store, registry, project_id) == {}
    assert [row["task_id"] for row in view(store, "tasks", project_id)] == ["moved on"]


def test_a_replay_of_what_has_expired_goes_with_the_next_run(store: Store, registry: Registry, project_id: str) -> None:
    registry.save_project(project_id, retention_days=30)
    for _ in range(2):
        insert_all(store, project_id, "expired", FIRST_EXPIRED)
        deleted(store, registry, project_id)
        assert names(store, project_id) == everywhere()


def test_a_token_whose_rows_have_expired_still_stores_nothing(
    store: Store, registry: Registry, project_id: str
) -> None:
    registry.save_project(project_id, retention_days=30)
    for _ in range(2):
        insert(store, "task_rows", task(project_id, "a", created_at=FIRST_EXPIRED), token=f"{project_id}:0-0")
        deleted(store, registry, project_id)
    insert(store, "task_rows", task(project_id, "a", created_at=FIRST_EXPIRED), token=f"{project_id}:0-0")
    assert view(store, "tasks", project_id) == []


def test_what_is_deleted_at_once_is_bounded_and_the_oldest_go_first(
    store: Store, registry: Registry, project_id: str
) -> None:
    registry.save_project(project_id, retention_days=30)
    rows = [task(project_id, f"{day}", created_at=f"2026-01-0{day}T00:00:00.000Z") for day in range(1, 6)]
    insert(store, "task_rows", *rows)
    remaining = []
    for _ in range(3):
        deleted(store, registry, project_id, max_identities=2)
        remaining.append([row["task_id"] for row in view(store, "tasks", project_id, "task_id")])
    assert remaining == [["3", "4", "5"], ["5"], []]


WRITTEN_ON_TASKS = ("feedback_rows", "note_rows", "label_rows", "judgement_rows")


def write_on_task(store: Store, project_id: str, task_id: str, moment: str) -> None:
    insert(store, "feedback_rows", feedback(project_id, task_id, "f", created_at=moment))
    insert(store, "note_rows", note(project_id, task_id, created_at=moment))
    insert(store, "label_rows", label(project_id, task_id, created_at=moment))
    insert(store, "judgement_rows", judgement(project_id, task_id, f"text of {task_id}", created_at=moment))


def written(store: Store, project_id: str) -> dict[str, list[str]]:
    """Return the tasks that each table has something about."""
    return {table: [row["task_id"] for row in view(store, table, project_id, "task_id")] for table in WRITTEN_ON_TASKS}


def test_what_was_written_today_on_an_expired_task_goes_with_it(
    store: Store, registry: Registry, project_id: str
) -> None:
    registry.save_project(project_id, retention_days=30)
    today, long_ago = LAST_KEPT, "2001-01-01T00:00:00.000Z"
    insert(store, "task_rows", task(project_id, "expired", created_at=FIRST_EXPIRED))
    insert(store, "task_rows", task(project_id, "kept", created_at=LAST_KEPT))
    for task_id, moment in (("expired", today), ("kept", long_ago), ("gone", long_ago), ("not stored yet", today)):
        write_on_task(store, project_id, task_id, moment)
    deleted(store, registry, project_id)
    assert written(store, project_id) == {table: ["kept", "not stored yet"] for table in WRITTEN_ON_TASKS}
    assert deleted(store, registry, project_id) == {}


def test_no_older_revision_of_an_expired_note_comes_up_again(store: Store, registry: Registry, project_id: str) -> None:
    registry.save_project(project_id, retention_days=30)
    insert(store, "task_rows", task(project_id, "a", created_at=FIRST_EXPIRED))
    for revision, is_deleted in ((1, False), (2, True)):
        insert(store, "note_rows", note(project_id, "a", revision, is_deleted=is_deleted))
    deleted(store, registry, project_id)
    assert view(store, "note_rows", project_id) == []


def test_a_judgement_stays_while_a_task_with_the_same_texts_does(
    store: Store, registry: Registry, project_id: str
) -> None:
    registry.save_project(project_id, retention_days=30)
    candidate = {"id": "e", "name": "refund", "definition_version": 1, "engine": "llm", "scope": "input", "score": 0.5}
    for task_id, moment in (("expired", FIRST_EXPIRED), ("kept", LAST_KEPT)):
        insert(store, "task_rows", task(project_id, task_id, created_at=moment))
        candidates = [candidate | {"doubt": 1.0, "content": "same"}]
        insert(store, "analysis_rows", analysis(project_id, task_id, created_at=moment, candidates=candidates))
    insert(store, "judgement_rows", judgement(project_id, "expired", "same"), judgement(project_id, "expired", "own"))
    deleted(store, registry, project_id)
    assert [row["content"] for row in view(store, "judgement_rows", project_id)] == ["same"]
    later = datetime(2026, 4, 2, tzinfo=UTC)
    assert len(list(enforce(store, registry, later))) > 0
    assert view(store, "judgement_rows", project_id) == []


async def test_the_loop_runs_on_while_rows_are_deleted(store: Store, registry: Registry, project_id: str) -> None:
    registry.save_project(project_id, retention_days=30)
    insert_all(store, project_id, "expired", FIRST_EXPIRED)
    threads: list[int] = []

    def now() -> datetime:
        threads.append(threading.get_ident())
        return NOW

    running = asyncio.create_task(enforce_hourly(store, registry, now))
    while names(store, project_id)["task_rows"]:  # noqa: ASYNC110 (the store has no event to wait for)
        await asyncio.sleep(0.05)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert threads == [threading.get_ident()]


def test_the_command_deletes_once_and_says_what(clickhouse: ClickHouseServer) -> None:
    with closing(remote(clickhouse.url, size=1)) as store:
        list(migrate(store))
        Registry(store).save_project("shop", retention_days=30)
        insert_all(store, "shop", "expired", "2001-01-01T00:00:00.000Z")
        first, second = (CliRunner().invoke(retention, ["--clickhouse", clickhouse.url]) for _ in range(2))
        assert names(store, "shop") == everywhere()
    away = CliRunner().invoke(retention, ["--clickhouse", f"http://127.0.0.1:{free_port()}"])
    assert "shop: deleted 1 of task_rows" in first.output
    assert (first.exit_code, second.exit_code, second.output) == (0, 0, "")
    assert away.exit_code == 1
    assert "could not delete" in away.output


def test_a_store_that_is_away_is_said_so() -> None:
    with closing(remote(f"http://127.0.0.1:{free_port()}", size=1)) as store, pytest.raises(StoreUnavailable):
        list(enforce(store, Registry(store), NOW))


def test_deleted_says_how_many_identities_not_rows(store: Store, registry: Registry, project_id: str) -> None:
    registry.save_project(project_id, retention_days=30)
    for revision in (1, 2, 3):
        insert(store, "task_rows", task(project_id, "a", revision, created_at=FIRST_EXPIRED))
    assert [one for one in enforce(store, registry, NOW) if one.project_id == project_id] == [
        Deleted(project_id, "task_rows", 1)
    ]
