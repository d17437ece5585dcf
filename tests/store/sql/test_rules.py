"""The rules that phospho_store.sql owns are written nowhere else, and no SQL doubles the braces of a parameter."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
SOURCES = ("cli", "dashboard", "producers/gateway", "schemas", "workers")
ENDINGS = (".py", ".sql", ".html", ".js")

# A part of each rule that nothing else has any reason to hold, and the files that may.
RULES = {
    "last flag": ("argMax(toString(feedback_rows.flag)", "schemas/phospho_store/sql/feedback.py"),
    "content of a judgement": ("indexOf(candidates.name", "schemas/phospho_store/sql/events.py"),
    "what was nearly found": ("NOT has(events.name", "schemas/phospho_store/sql/events.py"),
    "added by a label": ("'person' AS engine", "schemas/phospho_store/sql/current_events.py"),
    "added by a label, in Python": ('"engine": "person"', "schemas/phospho_store/events.py"),
    "values by people, in SQL": ("coalesce(label.value", "schemas/phospho_store/sql/current_events.py"),
    "categories by people, in SQL": ("if(label.category", "schemas/phospho_store/sql/current_events.py"),
    "rejected by a label, in SQL": ("label != 'rejected'", "schemas/phospho_store/sql/current_events.py"),
    "project id": ("[A-Za-z0-9][A-Za-z0-9_.", "schemas/phospho_schemas/ids.py"),
    "plausible times": ("datetime(2000, 1, 1", "schemas/phospho_schemas/times.py"),
}
# A value, category or judge taken from an annotation before the event's own.
MERGE = re.compile(r"""\["(?:value|category|judge)"\] (?:is None else|or) """)
# Hashes that are not of a task and its revision: of a closed session, a turn, parts of tables, a label, a shard.
OTHER_HASHES = {
    "sipHash64(session_close_rows.revision)",
    "sipHash64(task_id, state)",
    "sipHash64(name)",
    "sipHash64({shard_columns})",
    "sipHash64(table, name)",
    "sipHash64(task_id, revision, label = 'confirmed')",
}


def _files() -> Iterator[Path]:
    return (path for source in SOURCES for path in (ROOT / source).rglob("*") if path.suffix in ENDINGS)


def _files_with(fragment: str) -> set[str]:
    return {str(path.relative_to(ROOT)) for path in _files() if fragment in path.read_text("utf-8")}


@pytest.mark.parametrize("rule", RULES)
def test_rule_is_written_once(rule: str) -> None:
    fragment, owner = RULES[rule]
    assert _files_with(fragment) == {owner}


def test_rule_of_labels_and_judgements_is_in_one_module() -> None:
    merging = {path.relative_to(ROOT) for path in _files() if MERGE.search(path.read_text("utf-8"))}
    assert merging == {Path("schemas/phospho_store/events.py")}


def test_state_of_a_session_is_hashed_by_its_builder() -> None:
    others = (path for path in _files() if "phospho_store/sql" not in str(path))
    hashes = {hashed for path in others for hashed in re.findall(r"sipHash64\([^)]*\)", path.read_text("utf-8"))}
    assert hashes == OTHER_HASHES


def test_no_sql_doubles_the_braces_of_a_parameter() -> None:
    files = (path for source in SOURCES for path in (ROOT / source).rglob("*.py"))
    assert [str(path) for path in files if re.search(r"\{\{\w+:[A-Z]", path.read_text("utf-8"))] == []
