"""Patterns whose classes know ASCII only are warned of, with a pattern that means the same in every language."""

from __future__ import annotations

import pytest
import re2

from phospho_workers.detection.definitions import definition_warning
from workers.detection.tasks import definition


def replacement(pattern: str) -> str:
    warning = definition_warning(definition("event", "regex", pattern=pattern))
    assert warning is not None
    return warning.split(" write ")[1]


@pytest.mark.parametrize(
    ("pattern", "text", "is_match"),
    [
        (r"(?i)\bremboursé\b", "Je veux être remboursé vite", True),
        (r"(?i)\bété\b", "cet été nous partons", True),
        (r"(?i)\bété\b", "étée", False),
        (r"(?i)\bвозврат\b", "хочу возврат денег", True),
        (r"(?i)mon \w+ est cassé", "Mon écran est cassé", True),
        (r"[\w-]+ été", "là-bas été", True),
        (r"é\s+100", "é\u00a0100", True),
        (r"can't", "I can’t", True),
    ],
)
def test_replacement_of_a_pattern_reads_any_language(pattern: str, text: str, is_match: bool) -> None:
    assert (re2.search(replacement(pattern), text) is not None) is is_match


@pytest.mark.parametrize("pattern", [r"\bann\b", r"(?i)\brefunds?\b", "remboursé", r"\Q\b\Eé", r"\$\d+", r"\bI['’]m\b"])
def test_patterns_that_do_what_they_say_have_no_warning(pattern: str) -> None:
    assert definition_warning(definition("event", "regex", pattern=pattern)) is None
