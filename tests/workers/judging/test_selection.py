"""Selection takes the definitions in turn, the most doubtful text first, some at random, and fills up calls."""

from __future__ import annotations

import pytest

from phospho_workers.judging.selection import OpenCandidate, candidates_to_ask, judge_of, ordered_texts
from workers.detection.tasks import definition, semantic


def candidate(task_id: str, name: str, doubt: float, scope: str = "input") -> OpenCandidate:
    return OpenCandidate(task_id, name, 1, scope, task_id, doubt)


def tasks_in_order(candidates: list[OpenCandidate]) -> list[str]:
    return [text.task_id for text in ordered_texts(candidates)]


def test_selection_orders_each_text_once_and_repeatably() -> None:
    candidates = [candidate(f"t{n % 70}", f"e{n % 3}", n / 100) for n in range(100)]
    order = tasks_in_order(candidates)
    assert sorted(order) == sorted({one.task_id for one in candidates})
    assert ordered_texts(candidates) == ordered_texts(candidates[::-1])
    assert ordered_texts([]) == []


def test_selection_keeps_sides_apart_and_merges_equal_texts() -> None:
    candidates = [
        candidate("t1", "a", 0.5),
        candidate("t1", "b", 0.5, "output"),
        candidate("t2", "a", 0.5)._replace(content="t1"),
        candidate("t2", "c", 0.4)._replace(content="t1"),
    ]
    texts = {(text.task_id, text.scope): [one.name for one in text.candidates] for text in ordered_texts(candidates)}
    assert texts == {("t1", "input"): ["a", "c"], ("t1", "output"): ["b"]}
    assert {one.task_id for text in ordered_texts(candidates) for one in text.candidates} == {"t1"}


def test_selection_gives_no_priority_to_an_always_doubtful_definition() -> None:
    loud = [candidate(f"loud-{n}", "a", 1.0) for n in range(500)]
    quiet = [candidate(f"quiet-{n}", "b", 0.1 + n / 100) for n in range(3)]
    first = [one for one in tasks_in_order(loud + quiet)[:12] if one.startswith("quiet")]
    assert first == ["quiet-2", "quiet-1", "quiet-0"]


def test_selection_prefers_a_text_that_others_doubt_too() -> None:
    alone = [candidate(f"alone-{n}", "a", 0.6) for n in range(20)]
    shared = [candidate("shared", name, 0.6) for name in "abc"]
    assert tasks_in_order(alone + shared)[0] == "shared"


def test_some_are_drawn_by_chance() -> None:
    candidates = [candidate(f"t{n:03}", "a", 1 - n / 1_000) for n in range(300)]
    by_doubt = {one.task_id for one in candidates[:60]}
    assert 10 < len(set(tasks_in_order(candidates)[:60]) - by_doubt) < 30


def test_a_call_is_filled_with_what_nobody_judged_of_the_text() -> None:
    [text] = ordered_texts([candidate("t1", "open", 0.5)])
    definitions = [
        semantic("open", "It opens"),
        semantic("other", "It happens", scope="input", version=3),
        semantic("judged", "It happened", scope="input"),
        semantic("other side", "It is answered", scope="output"),
        definition("certain", "keyword", scope="input"),
        definition("sampled", "llm", scope="input"),
    ]
    asked = candidates_to_ask(text, definitions, {"judged"})
    assert [one.name for one in asked] == ["open", "other"]
    assert asked[1] == OpenCandidate("t1", "other", 3, "input", "t1", 0.0)


@pytest.mark.parametrize(("open_ones", "asked"), [(1, 20), (19, 20), (20, 20), (21, 40), (39, 40)])
def test_no_call_is_made_for_what_is_asked_along(open_ones: int, asked: int) -> None:
    definitions = [semantic(f"e{n}", "It happens", scope="input") for n in range(100)]
    [text] = ordered_texts([candidate("t1", f"e{n}", 0.5) for n in range(open_ones)])
    about = candidates_to_ask(text, definitions, set())
    assert len({one.name for one in about}) == len(about) == asked


def test_of_many_definitions_each_text_is_asked_along_with_others() -> None:
    definitions = [semantic(f"e{n}", "It happens", scope="input") for n in range(60)]
    texts = ordered_texts([candidate(f"t{n}", "e0", 0.5) for n in range(30)])
    assert len({one.name for text in texts for one in candidates_to_ask(text, definitions, set())}) == 60


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
    one = definition("refund", engine, judge=opinion)
    assert judge_of(one, has_llm=has_llm, has_encoder=has_encoder) == judge
