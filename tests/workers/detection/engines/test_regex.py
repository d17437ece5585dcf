"""Patterns run in linear time, are refused with their reason, and harm no other."""

from __future__ import annotations

import time

import pytest

from fixtures.matches import found_matches
from phospho_workers.detection.definitions import check_definition, compile_definitions
from phospho_workers.detection.engines.regex import RegexEngine
from workers.detection.tasks import regex


def found(text: str, *definitions) -> dict[str, str]:
    matches = found_matches(compile_definitions(definitions), [text], "input")[0]
    return {match.definition.name: match.evidence for match in matches}


def test_the_evidence_is_the_first_match() -> None:
    order = regex("order", r"(?i)order #\d+")
    assert found("It is ORDER #12, not order #13", order) == {"order": "ORDER #12"}


def test_patterns_are_case_sensitive_and_see_unicode_and_nul() -> None:
    definitions = [regex("word", "Été"), regex("letters", r"\pL{5}"), regex("nul", r"\x00b")]
    assert found("été, Été", *definitions) == {"word": "Été"}
    assert found("日本語です", *definitions) == {"letters": "日本語です"}
    assert found("a\x00b", *definitions) == {"nul": "\x00b"}


@pytest.mark.parametrize("pattern", [r"(a+)+$", r"(a|aa)+$", r"(.*a){20}$", r"^(\w+\s?)*$"])
def test_a_pattern_that_hangs_a_backtracking_engine_is_harmless(pattern: str) -> None:
    text = "a" * 100_000 + "!"
    definitions = [regex("catastrophe", pattern), regex("other", "a!")]
    assert found(text, *definitions) == {"other": "a!"}


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("", "it has no pattern"),
        ("(a", "RE2 can't take the pattern: missing ): (a"),
        ("(?=x)", "RE2 can't take the pattern: invalid perl operator: (?="),
        (r"\1", r"RE2 can't take the pattern: invalid escape sequence: \1"),
        ("a{2000}", "RE2 can't take the pattern: invalid repetition size: {2000}"),
        ("((a{100}){100}){100}", "RE2 can't take the pattern: "),
        ("x*", "the pattern matches the empty text, so it would be found in every task"),
    ],
)
def test_a_pattern_that_can_not_be_used_is_refused_with_its_reason(pattern: str, reason: str) -> None:
    assert (check_definition(regex("event", pattern)) or "").startswith(reason)


def test_patterns_that_do_not_fit_one_set_are_all_found() -> None:
    """Ten of these are past the memory of one RE2 set, which does not compile then."""
    hungry = [regex(f"hungry-{number}", rf"{number}x[\pL\pN]{{100}}") for number in range(10, 22)]
    assert all(check_definition(one) is None for one in hungry)
    text = "hello 21x" + "é" * 2000
    assert found(text, *hungry, regex("plain", "hello")).keys() == {"plain", "hungry-21"}


@pytest.mark.parametrize(
    "pattern",
    [
        ".{0,1000}.{0,1000}.{0,1000}x",
        ".{0,1000}x",
        "(?:.{0,30}x?){0,33}y",
        r"\x{65e5}.{0,1000}x",
        r"\p{Han}{0,500}\p{Han}{0,500}x",
        r"[\x{4e00}-\x{9fff}]{0,1000}日",
    ],
)
def test_repetitions_that_would_cost_every_text_are_refused(pattern: str) -> None:
    reason = check_definition(regex("event", pattern)) or ""
    assert "counted repetitions unfold to" in reason
    assert "use smaller counts" in reason


@pytest.mark.parametrize(
    "pattern",
    [
        ".{0,300}x",
        ".*.*.*x",
        r"\bcard\b.{1,100}\b(lost|stolen)\b.{0,100}",
        r"[\pL\pN]{100}",
        r"\\x{65}y",
        r"[あ-ん]+[\x{3040}-龥]{20}[^\x{1f600}-\x{1f64f}]",
        "|".join(f"word{number}" for number in range(400)),
        "注文" * 2_000,
    ],
)
def test_a_pattern_of_any_length_and_script_is_taken(pattern: str) -> None:
    assert check_definition(regex("event", pattern)) is None


def test_many_patterns_at_their_bound_cost_a_text_little() -> None:
    definitions = [regex(f"gap-{number}", f".{{0,500}}x{number}") for number in range(5)]
    assert all(check_definition(one) is None for one in definitions)
    compiled = compile_definitions(definitions)
    begun_s = time.thread_time()
    found_matches(compiled, ["😀" * 5_000], "input")
    assert time.thread_time() - begun_s < 2.0


class _OutOfMemory:
    """A set as RE2's binding shows one that ran out of memory while it matched: nothing is said to match."""

    def Match(self, text: str) -> None:  # noqa: N802
        return None


def test_a_set_that_runs_out_of_memory_hides_nothing() -> None:
    engine = RegexEngine([regex("plain", "hello"), regex("other", "bye")])
    engine._pattern_sets[0]._set = _OutOfMemory()
    assert [match.definition.name for match in engine.match(["oh hello"], "input")[0]] == ["plain"]


def test_an_empty_match_inside_a_text_is_still_a_match() -> None:
    assert found("two words", regex("event", r"\b$")) == {"event": ""}
