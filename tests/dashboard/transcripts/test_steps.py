"""The steps of an agent as a tree."""

from __future__ import annotations

from typing import Any

import pytest

from phospho_dashboard.transcripts.steps import step_tree


def tree(*steps: dict[str, Any]) -> list[tuple[str, int]]:
    return [(step["name"], step["depth"]) for step in step_tree({"steps": list(steps)})]


def test_steps_follow_their_parents() -> None:
    plan = {"name": "plan", "span_id": "a", "parent_span_id": "gone"}
    search = {"name": "search", "span_id": "b", "parent_span_id": "a"}
    rank = {"name": "rank", "span_id": "c", "parent_span_id": "b"}

    assert tree(rank, plan, search, {"name": "answer"}) == [("plan", 0), ("search", 1), ("rank", 2), ("answer", 0)]


def test_steps_in_a_circle_are_shown_once() -> None:
    first = {"name": "first", "span_id": "a", "parent_span_id": "b"}
    second = {"name": "second", "span_id": "b", "parent_span_id": "a"}

    assert sorted(tree(first, second, first)) == [("first", 0), ("first", 0), ("second", 0)]


@pytest.mark.parametrize("metadata", [None, "text", {}, {"steps": "three"}, {"steps": [1, 2]}, {"steps": {"a": 1}}])
def test_steps_of_another_form_are_none(metadata: Any) -> None:
    assert step_tree(metadata) == []
