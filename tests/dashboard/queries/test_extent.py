"""The times of a project's first and last task, whatever was written before they were logged again."""

from __future__ import annotations

from typing import Any

import pytest

from phospho_dashboard.queries.extent import Extents
from phospho_dashboard.queries.periods import Extent

DAY_MS = 86_400_000
NOON_MS = 1_767_268_800_000  # 2026-01-01T12:00:00Z


@pytest.fixture
def extents(world: Any) -> Extents:
    return Extents(world.store)


def test_a_project_without_a_task_has_no_ends(extents: Extents, project: str) -> None:
    assert extents.extent(project) == Extent(None, None)


def test_the_only_task_is_the_first_and_the_last(world: Any, extents: Extents, project: str) -> None:
    world.add_task(project, "a", created_at="2026-01-01T12:00:00.000Z")
    assert extents.extent(project) == Extent(NOON_MS, NOON_MS)


def test_the_ends_are_those_of_the_last_writes(world: Any, extents: Extents, project: str) -> None:
    """A clock that was years off on both sides, and right when the tasks were logged again."""
    world.add_task(project, "early", created_at="2019-05-05T00:00:00.000Z")
    world.add_task(project, "late", created_at="2031-05-05T00:00:00.000Z")
    world.add_task(project, "middle", created_at="2026-01-03T12:00:00.000Z")
    world.add_task(project, "early", created_at="2026-01-01T12:00:00.000Z", revision=2)
    world.add_task(project, "late", created_at="2026-01-05T12:00:00.000Z", revision=2)
    assert extents.extent(project) == Extent(NOON_MS, NOON_MS + 4 * DAY_MS)


def test_ids_need_not_sort_by_time(world: Any, extents: Extents, project: str) -> None:
    for number, task_id in enumerate("cadbe"):
        world.add_task(project, task_id, created_at=f"2026-01-0{number + 1}T12:00:00.000Z")
    assert extents.extent(project) == Extent(NOON_MS, NOON_MS + 4 * DAY_MS)
