"""The rules that phospho_store.sql owns are written nowhere else, and no SQL doubles the braces of a parameter."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
SOURCES = ("cli", "dashboard", "producers/gateway", "schemas", "workers")
ENDINGS = (".py", ".sql", ".html", ".js")

# A part of each rule that nothing else has any reason to hold, and the files that may.
RULES = {
    "state of a session": ("sipHash64(task_id, task_rows.revision)", "schemas/phospho_store/sql/sessions.py"),
    "last flag": ("argMax(toString(feedback_rows.flag)", "schemas/phospho_store/sql/feedback.py"),
    "content of a judgement": ("indexOf(candidates.name", "schemas/phospho_store/sql/events.py"),
    "what was nearly found": ("NOT has(events.name", "schemas/phospho_store/sql/events.py"),
    "added by a label": ("'person' AS engine", "schemas/phospho_store/views.py"),
    "added by a label, in Python": ('"engine": "person"', "schemas/phospho_store/events.py"),
    "project id": ("[A-Za-z0-9][A-Za-z0-9_.", "schemas/phospho_schemas/ids.py"),
    "plausible times": ("datetime(2000, 1, 1", "schemas/phospho_schemas/times.py"),
}


def _files_with(fragment: str) -> set[str]:
    files = (path for source in SOURCES for path in (ROOT / source).rglob("*") if path.suffix in ENDINGS)
    return {str(path.relative_to(ROOT)) for path in files if fragment in path.read_text("utf-8")}


@pytest.mark.parametrize("rule", RULES)
def test_rule_is_written_once(rule: str) -> None:
    fragment, owner = RULES[rule]
    assert _files_with(fragment) == {owner}


def test_no_sql_doubles_the_braces_of_a_parameter() -> None:
    files = (path for source in SOURCES for path in (ROOT / source).rglob("*.py"))
    assert [str(path) for path in files if re.search(r"\{\{\w+:[A-Z]", path.read_text("utf-8"))] == []
