"""The filters of upstream's `ProjectDataFilters` as one SQL condition. Every value is a bound parameter."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from phospho_gateway.intake.fields import MAX_ID_CHARACTERS
from phospho_gateway.read_store import MAX_PARAMETER_BYTES
from phospho_schemas.times import parsed_end, parsed_time
from phospho_store.metadata import metadata_text
from phospho_store.sql import compose
from phospho_store.sql.themes import theme_of
from phospho_web.problems import Problem, invalid
from phospho_web.requests import json_type

_MAX_SECONDS = 2**40

_OF_ANALYSIS = "task_id IN (SELECT task_id FROM analysis_rows FINAL WHERE project_id = {project:String} AND $condition)"
_OF_FEEDBACK = "task_id IN (SELECT task_id FROM feedback_rows FINAL WHERE project_id = {project:String} $rest)"
_OF_POSITIONS = """task_id IN (
    SELECT task_id FROM (
        SELECT
            task_id,
            row_number() OVER (PARTITION BY session_id ORDER BY created_at, revision, task_id) AS position,
            count() OVER (PARTITION BY session_id) AS session_length
        FROM task_rows FINAL WHERE project_id = {project:String}
    ) WHERE $condition
)"""
_WITH_EVENT = "task_id IN (SELECT task_id FROM events WHERE project_id = {project:String} AND name IN $names)"
_FLAGGED = "task_id IN (SELECT task_id FROM tasks WHERE project_id = {project:String} AND flag = {flag:String})"
_LAST_SOURCE_IS_PHOSPHO = (
    "GROUP BY task_id HAVING startsWith("
    "argMax(toString(feedback_rows.source), (feedback_rows.revision, feedback_rows.feedback_id)), 'phospho')"
    " = {last_eval_source:Bool}"
)
_HAS_NOTES = "(" + compose(_OF_FEEDBACK, rest="AND comment != ''") + " OR metadata.notes IS NOT NULL)"
# By the type of a value in JSON: how ClickHouse extracts it, what it then is, and what JSONType says of it.
_KINDS = {
    str: ("JSONExtractString", "String", "('String')"),
    bool: ("JSONExtractBool", "Bool", "('Bool')"),
    int: ("JSONExtractFloat", "Float64", "('Int64', 'UInt64', 'Double')"),
    float: ("JSONExtractFloat", "Float64", "('Int64', 'UInt64', 'Double')"),
}


@dataclass(frozen=True)
class Condition:
    """A condition on the rows of `task_rows`. It needs the parameter `project` beside its own."""

    sql: str = "1"
    parameters: dict[str, Any] = field(default_factory=dict)


ANY_TASK = Condition()


def condition_of(filters: Any) -> Condition:
    """
    Return the condition that all of `filters` make together; null is no filter.

    Raises Problem (422) for a filter that is malformed, unknown, or of something that doesn't exist here.
    """
    if filters is None:
        return ANY_TASK
    if type(filters) is not dict:
        raise invalid("invalid_type", f"filters is {json_type(filters)}", "filters must be an object")
    if _size_bytes(filters) > MAX_PARAMETER_BYTES:
        raise invalid("filters_too_long", "the filters are too long", f"use at most {MAX_PARAMETER_BYTES} bytes")
    return _all_of([_reader(name)(name, value) for name, value in filters.items() if value is not None])


def _all_of(conditions: Iterable[Condition]) -> Condition:
    conditions = list(conditions)
    parameters: dict[str, Any] = {}
    for condition in conditions:
        parameters |= condition.parameters
    return Condition(" AND ".join(condition.sql for condition in conditions) or "1", parameters)


def _size_bytes(filters: dict[str, Any]) -> int:
    try:
        return len(orjson.dumps(filters))
    except orjson.JSONEncodeError:
        raise invalid("invalid_filter", "the filters hold what no filter takes", "see docs/legacy.md") from None


def _reader(name: str) -> Callable[[str, Any], Condition]:
    if name not in _READERS:
        raise invalid("unknown_filter", "there is no such filter", f"use one of {', '.join(FILTERS)}")
    return _READERS[name]


def _text(sql: str) -> Callable[[str, Any], Condition]:
    def read(name: str, value: Any) -> Condition:
        return Condition(sql, {name: _checked_text(name, value)})

    return read


def _texts(sql: str) -> Callable[[str, Any], Condition]:
    def read(name: str, value: Any) -> Condition:
        values = [value] if type(value) is str else value
        if type(values) is not list:
            raise _invalid_filter(name, value, "a list of strings")
        return Condition(sql, {name: [_checked_text(name, each) for each in values]})

    return read


def _time(sql: str) -> Callable[[str, Any], Condition]:
    def read(name: str, value: Any) -> Condition:
        return Condition(sql, {name: _milliseconds(name, value)})

    return read


def _created_at_end(name: str, value: Any) -> Condition:
    """A number names a whole second, as upstream's times do, a date a whole day; the end is still within."""
    ends_ms = _milliseconds(name, value) + (999 if type(value) is int else 0)
    if type(value) is str and (end := parsed_end(value)):
        ends_ms = max(ends_ms, int(end.timestamp() * 1000) - 1)
    return Condition("toUnixTimestamp64Milli(created_at) <= {created_at_end:Int64}", {name: ends_ms})


def _flag(name: str, value: Any) -> Condition:
    flags = {"success": "success", "failure": "failure", "undefined": ""}
    if type(value) is not str or value not in flags:
        raise _invalid_filter(name, value, "success, failure or undefined")
    return Condition(_FLAGGED, {name: flags[value]})


def _last_eval_source(name: str, value: Any) -> Condition:
    is_phospho = _checked_text(name, value).startswith("phospho")
    return Condition(compose(_OF_FEEDBACK, rest=_LAST_SOURCE_IS_PHOSPHO), {name: is_phospho})


def _has_notes(name: str, value: Any) -> Condition:
    return Condition(_HAS_NOTES if _checked_bool(name, value) else f"NOT {_HAS_NOTES}")


def _is_last_task(name: str, value: Any) -> Condition:
    operator = "=" if _checked_bool(name, value) else "<"
    return Condition(compose(_OF_POSITIONS, condition=f"position {operator} session_length"))


def _task_position(name: str, value: Any) -> Condition:
    if type(value) is not int or not 0 <= value < 2**31:
        raise _invalid_filter(name, value, "a number from 1")
    return Condition(compose(_OF_POSITIONS, condition="position = {task_position:Int64}"), {name: value})


def _metadata(name: str, value: Any) -> Condition:
    if type(value) is not dict:
        raise _invalid_filter(name, value, "an object")
    return _all_of([_entry(index, key, wanted) for index, (key, wanted) in enumerate(value.items())])


def _entry(index: int, key: str, wanted: Any) -> Condition:
    """Return the condition that the metadata has `wanted` under `key`, a scalar at the top level."""
    if type(wanted) not in _KINDS or (type(wanted) is int and abs(wanted) >= 2**63):
        raise _invalid_filter("metadata", wanted, "an object of strings, numbers and booleans")
    reader, kind, types = _KINDS[type(wanted)]
    key_name, value_name = f"metadata_key_{index}", f"metadata_value_{index}"
    at_key = metadata_text() + ", " + _parameter(key_name, "String")
    sql = compose(
        "JSONType($at_key) IN $types AND $reader($at_key) = $value",
        at_key=at_key,
        types=types,
        reader=reader,
        value=_parameter(value_name, kind),
    )
    if type(wanted) is str:
        wanted = _checked_text("metadata", wanted)
    return Condition(sql, {key_name: _checked_text("metadata", key), value_name: wanted})


def _parameter(name: str, kind: str) -> str:
    """Return the reference to a parameter of the query."""
    return "{" + name + ":" + kind + "}"


def _no_scorers(name: str, value: Any) -> Condition:
    raise invalid("unsupported_filter", f"{name} can't be filtered by", "there are no scorers here")


def _milliseconds(name: str, value: Any) -> int:
    if type(value) in (int, float) and abs(value) <= _MAX_SECONDS:
        return int(value * 1000)
    if type(value) is str and (moment := parsed_time(value)):
        return int(moment.timestamp() * 1000)
    raise _invalid_filter(name, value, "Unix seconds or ISO 8601")


def _checked_text(name: str, value: Any) -> str:
    if type(value) is not str or len(value) > MAX_ID_CHARACTERS or "\0" in value:
        raise _invalid_filter(name, value, f"text of at most {MAX_ID_CHARACTERS} characters, without NUL")
    return value


def _checked_bool(name: str, value: Any) -> bool:
    if type(value) is not bool:
        raise _invalid_filter(name, value, "true or false")
    return value


def _invalid_filter(name: str, value: Any, wanted: str) -> Problem:
    return invalid("invalid_filter", f"{name} is not what it should be ({json_type(value)})", f"{name} takes {wanted}")


_READERS: Mapping[str, Callable[[str, Any], Condition]] = {
    "created_at_start": _time("toUnixTimestamp64Milli(created_at) >= {created_at_start:Int64}"),
    "created_at_end": _created_at_end,
    "event_name": _texts(compose(_WITH_EVENT, names="{event_name:Array(String)}")),
    # A definition's id is its name here.
    "event_id": _texts(compose(_WITH_EVENT, names="{event_id:Array(String)}")),
    "flag": _flag,
    "metadata": _metadata,
    "user_id": _text("user_id = {user_id:String}"),
    "excluded_users": _texts("user_id NOT IN {excluded_users:Array(String)}"),
    "last_eval_source": _last_eval_source,
    "sentiment": _text(compose(_OF_ANALYSIS, condition="sentiment = {sentiment:String}")),
    "language": _text(compose(_OF_ANALYSIS, condition="language = {language:String}")),
    "has_notes": _has_notes,
    "tasks_ids": _texts("task_id IN {tasks_ids:Array(String)}"),
    "sessions_ids": _texts("session_id IN {sessions_ids:Array(String)}"),
    "version_id": _text("version_id = {version_id:String}"),
    "is_last_task": _is_last_task,
    "task_position": _task_position,
    "task_id_search": _text("positionCaseInsensitive(task_id, {task_id_search:String}) > 0"),
    "session_id_search": _text("positionCaseInsensitive(session_id, {session_id_search:String}) > 0"),
    "scorer_value": _no_scorers,
    "classifier_value": _no_scorers,
    # A project has one clustering, its themes; a cluster is a theme.
    "clustering_id": _text(compose(_OF_ANALYSIS, condition="{clustering_id:String} != '' AND theme != ''")),
    "clusters_ids": _texts(compose(_OF_ANALYSIS, condition=theme_of() + " IN {clusters_ids:Array(String)}")),
}

FILTERS = tuple(sorted(_READERS))
