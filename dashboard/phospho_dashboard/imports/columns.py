"""The mapping of a file's columns to the fields of a task, as the page has it: one choice a column."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from phospho_dashboard.web.forms import Form
from phospho_store.log_files.mappings import FIELDS, suggested_mapping
from phospho_store.log_files.task_times import fitting_formats
from phospho_web.problems import Problem

METADATA = ""
LABELS: Mapping[str, str] = {
    "input": "Input",
    "output": "Output",
    "session_id": "Session",
    "user_id": "User",
    "created_at": "Time",
    "task_id": "Task id",
    "version_id": "Version",
    "flag": "Flag (success or failure)",
    "system_prompt": "System prompt",
    "metadata": "Metadata object",
    METADATA: "Metadata, under its name",
}
assert set(LABELS) == {*FIELDS, METADATA}
# A column of a field's name that is to be metadata gets this before its name.
_RENAMED = "original_"


class Column(NamedTuple):
    """A column of a file, some of its values, and the field that it is taken for."""

    name: str
    examples: Sequence[str]
    field: str


def columns_of(examples: Mapping[str, Sequence[str]], mapping: Mapping[str, str]) -> list[Column]:
    """Return the columns under a mapping of fields to columns."""
    field_of = {theirs: name for name, theirs in mapping.items() if name in FIELDS}
    renamed = {theirs for name, theirs in mapping.items() if name.startswith(_RENAMED)}
    return [
        Column(name, values, field_of.get(name, METADATA if name in renamed or name not in FIELDS else name))
        for name, values in examples.items()
    ]


def suggestion(examples: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Return the mapping to begin with: by the names of the columns, which may be ours already."""
    own = {name: name for name in examples if name in FIELDS}
    return suggested_mapping(examples, own)


def mapping_of(form: Form, columns: Sequence[str]) -> dict[str, str]:
    """Return the mapping that a form describes: its n-th field `column` is of the n-th column. Raises Problem 422."""
    choices = form.texts("column")
    if len(choices) != len(columns) or not set(choices) <= set(LABELS):
        raise Problem(422, "invalid_mapping", "the form does not fit the file", "open the page again")
    mapping: dict[str, str] = {}
    for column, choice in zip(columns, choices, strict=True):
        if choice in mapping:
            message = f"{mapping[choice]!r} and {column!r} are both the {LABELS[choice].lower()}"
            raise Problem(422, "invalid_mapping", message, "choose one column for each field")
        if choice != METADATA:
            mapping[choice] = column
        elif column in FIELDS:
            mapping[_RENAMED + column] = column
    if "input" not in mapping:
        raise Problem(422, "invalid_mapping", "no column is the input", "choose the column with the user's messages")
    return {name: theirs for name, theirs in mapping.items() if name != theirs}


def date_formats(columns: Sequence[Column]) -> dict[str, str]:
    """Return the formats that the times of a file may be in, where they are in no standard one, with their order."""
    times: Any = next((column.examples for column in columns if column.field == "created_at"), ())
    return {each: label for text in times for each, label in fitting_formats(text).items()}
