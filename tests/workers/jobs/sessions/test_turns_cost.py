"""A task with its context costs the jobs what is new, and not what arrived in the minute before it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from benchmarks.dashboard.measured_store import MeasuredStore
from fixtures.clickhouse_server import ClickHouseServer
from phospho_store.clickhouse import remote
from phospho_store.migrations import migrate
from phospho_store.registry.definition_sets import DefinitionRepository
from phospho_store.registry.registry import Registry
from phospho_workers.detection.loader import DefinitionCache
from phospho_workers.jobs.sessions.session_facts import SessionFacts
from phospho_workers.jobs.sessions.turns_job import TurnsJob
from workers.detection.tasks import keywords
from workers.jobs.logged_sessions import say

PROJECT = "turns-cost"
# They arrived within the last minute and were logged before anything was looked for.
_LATELY = """
INSERT INTO task_rows (project_id, task_id, session_id, revision, created_at, received_at, inserted_at, input)
SELECT {project:String}, concat('old-', toString(number)), concat('s-', toString(intDiv(number, 100))), 1,
    now64(3) - 30, now64(3) - 30, now64(3) - 30, 'hello'
FROM numbers({count:UInt32})
"""


@pytest.fixture
def measured(tmp_path: Path) -> Iterator[MeasuredStore]:
    with ClickHouseServer(tmp_path / "clickhouse") as server:
        setup = remote(server.url)
        list(migrate(setup))
        setup.close()
        store = MeasuredStore(server)
        yield store
        store.close()


def test_new_turn_reads_no_tasks_of_the_minute_before(measured: MeasuredStore, until_done: Callable[..., int]) -> None:
    Registry(measured).save_project(PROJECT)
    definition = keywords("thanks", "thanks", project_id=PROJECT, context_turns=2)
    Registry(measured).save_definition(definition)
    cache = DefinitionCache(DefinitionRepository(measured), 0.0)
    job = TurnsJob(SessionFacts(measured), cache.current)
    count = 50_000
    measured.command(_LATELY, {"project": PROJECT, "count": count})
    until_done(job)

    measured.measured.clear()
    say(measured, PROJECT, "fresh", "thanks", minutes_ago=0)
    until_done(job)

    [row] = measured.rows("SELECT count() AS events FROM events WHERE name = 'thanks'")
    assert row["events"] == 1
    assert sum(query.rows_read for query in measured.measured[:-1]) < count
