"""Whom to ask first: each definition in turn, the most doubtful first, and some by chance."""

from __future__ import annotations

import pytest

from phospho_workers.judging.choice import Open, in_order, judge_of
from workers.detection.tasks import definition


def candidate(task_id: str, name: str, doubt: float) -> Open:
    return Open(task_id, name, 1, "input", task_id, doubt)


def test_every_task_comes_once_and_the_order_follows_from_the_candidates() -> None:
    candidates = [candidate(f"t{n % 70}", f"e{n % 3}", n / 100) for n in range(100)]
    order = in_order(candidates)
    assert sorted(order) == sorted({one.task_id for one in candidates})
    assert order == in_order(candidates[::-1])
    assert in_order([]) == []


def test_a_definition_that_doubts_everything_does_not_come_before_the_others() -> None:
    loud = [candidate(f"loud-{n}", "a", 1.0) for n in range(500)]
    quiet = [candidate(f"quiet-{n}", "b", 0.1 + n / 100) for n in range(3)]
    first = [one for one in in_order(loud + quiet)[:12] if one.startswith("quiet")]
    assert first == ["quiet-2", "quiet-1", "quiet-0"]


def test_some_are_drawn_by_chance() -> None:
    candidates = [candidate(f"t{n:03}", "a", 1 - n / 1_000) for n in range(300)]
    by_doubt = {one.task_id for one in candidates[:60]}
    assert 10 < len(set(in_order(candidates)[:60]) - by_doubt) < 30


@pytest.mark.parametrize(
    ("engine", "opinion", "has_llm", "has_encoder", "judge"),
    [
        ("semantic", "project", True, True, "llm"),
        ("semantic", "project", False, True, "encoder"),
        ("semantic", "project", False, False, None),
        ("semantic", "none", True, True, None),
        ("semantic", "encoder", True, True, "encoder"),
        ("semantic", "encoder", True, False, None),
        ("semantic", "llm", False, True, None),
        ("keyword", "project", True, True, None),
        ("keyword", "llm", True, True, "llm"),
        ("llm", "project", True, True, "llm"),
        ("llm", "encoder", True, True, "llm"),
        ("llm", "none", True, True, "llm"),
        ("llm", "project", False, True, None),
    ],
)
def test_who_is_asked(engine: str, opinion: str, has_llm: bool, has_encoder: bool, judge: str | None) -> None:
    one = definition("refund", engine, second_opinion=opinion)
    assert judge_of(one, has_llm=has_llm, has_encoder=has_encoder) == judge
