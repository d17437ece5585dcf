"""
Conditions of the filter `where`: several values of a filter, values that are excluded, and keys of the metadata.

`version=v1|v2; model!=m; metadata.plan=pro` are the tasks of versions v1 and v2, of other models than m, whose metadata
has `plan` pro. A backslash before `;`, `|` or itself makes it a part of a value.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from phospho_schemas.imports import IMPORT_KEY, file_of_import
from phospho_store.sql import compose
from phospho_web.problems import Problem
from phospho_web.requests import choices_hint

MAX_CHARACTERS = 2000
MAX_CONDITIONS = 10
_METADATA = "metadata."
# The columns of the filters, by the table that has them; `event` is a condition of its own.
COLUMNS = {
    "user": ("", "user_id"),
    "version": ("", "version_id"),
    "model": ("task_rows", "model"),
    "language": ("analysis_rows", "language"),
    "sentiment": ("analysis_rows", "sentiment"),
}
NAMES = (*COLUMNS, "event", f"{_METADATA}KEY")
_CONDITION = re.compile(r"([^=!]+?)\s*(!?=)(.*)", re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
# A key that a task doesn't have is an empty text.
_KEY = "ifNull(toString(getSubcolumn(metadata, {$key:String})), '')"

_OF_EVENTS = "task_id IN (SELECT task_id FROM events WHERE name = {$name:String})"
_OF_ANALYSES = "task_id IN (SELECT task_id FROM analyses WHERE $condition)"


@dataclass(frozen=True)
class Condition:
    """One condition: the value of `name` is one of `values`, or none of them."""

    name: str
    is_excluded: bool
    values: tuple[str, ...]
    text: str

    @property
    def imported_file(self) -> str:
        """The name of the file whose import this is the condition on; empty for another condition."""
        is_import = self.name == _METADATA + IMPORT_KEY and not self.is_excluded and len(self.values) == 1
        return file_of_import(self.values[0]) if is_import else ""

    @property
    def table(self) -> str:
        """The table that has the column; empty where all have it."""
        return "task_rows" if self.name.startswith(_METADATA) else COLUMNS[self.name][0]

    def sql(self, number: int) -> str:
        """Return the condition on its table; `number` is its index, which its parameters carry."""
        is_metadata = self.name.startswith(_METADATA)
        column = compose(_KEY, key=f"where_key_{number}") if is_metadata else COLUMNS[self.name][1]
        return f"{column} {'NOT IN' if self.is_excluded else 'IN'} {{where_{number}:Array(String)}}"

    def event_sql(self, number: int, has_event: Callable[[str], str]) -> str:
        """Return the condition on events; `has_event` returns the one that a task has the event of a parameter."""
        events = " OR ".join(f"({has_event(f'where_{number}_{index}')})" for index in range(len(self.values)))
        return f"NOT ({events})" if self.is_excluded else f"({events})"

    def of_views(self, number: int) -> str:
        """Return the condition on the view `tasks`, which reads the other views for what it does not have."""
        if self.name == "event":
            return self.event_sql(number, lambda name: compose(_OF_EVENTS, name=name))
        return compose(_OF_ANALYSES, condition=self.sql(number)) if self.table == "analysis_rows" else self.sql(number)

    def parameters(self, number: int) -> dict[str, str | list[str]]:
        """Return the parameters of the SQL."""
        if self.name == "event":
            return {f"where_{number}_{index}": value for index, value in enumerate(self.values)}
        key = self.name.removeprefix(_METADATA)
        keys: dict[str, str | list[str]] = {f"where_key_{number}": key} if key != self.name else {}
        return keys | {f"where_{number}": list(self.values)}


def conditions_of(text: str) -> list[Condition]:
    """Return the conditions of a text. Raises Problem 400 for a text that is none, with the names that there are."""
    conditions = [_condition(part.strip()) for part in _split(text, ";") if part.strip()]
    if len(conditions) > MAX_CONDITIONS:
        raise Problem(400, "invalid_where", f"'where' must have at most {MAX_CONDITIONS} conditions")
    return conditions


def joined(conditions: Iterable[Condition]) -> str:
    """Return the text of conditions."""
    return "; ".join(condition.text for condition in conditions)


def _condition(text: str) -> Condition:
    match = _CONDITION.fullmatch(text)
    if match is None:
        hint = "write it as version=v1|v2, version!=v1 or metadata.plan=pro"
        raise Problem(400, "invalid_where", f"{text[:100]!r} is no condition", hint)
    name, sign, values = match.groups()
    if name not in (*COLUMNS, "event") and not (name.startswith(_METADATA) and name != _METADATA):
        raise Problem(400, "invalid_where", f"there is no filter {name[:100]!r}", choices_hint(name, NAMES))
    return Condition(name, sign == "!=", tuple(map(_unescaped, _split(values, "|"))), text)


def _split(text: str, separator: str) -> list[str]:
    """Return the parts of a text between separators that no backslash precedes."""
    part = re.compile(rf"(?:\\.?|[^\\{separator}])*", re.DOTALL)
    parts: list[str] = []
    position = 0
    while position <= len(text):
        match = part.match(text, position)
        parts.append(match[0] if match else "")
        position += len(parts[-1]) + 1
    return parts


def _unescaped(value: str) -> str:
    return _ESCAPED.sub(r"\1", value)
