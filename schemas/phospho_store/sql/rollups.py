"""
SQL for rollups: the cells that the dashboard counts, from facts and from stored hours.

A cell has counts, and lists where something is counted once: sessions and users as hashes, latencies with their
numbers. A task is a cell by itself. The job adds up the cells of an hour and stores them; a reader adds up stored cells
and, where no stored hour holds, those of facts. So both count the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from phospho_store.sql import compose
from phospho_store.sql.analysed import TaskScope, analysed, flagged_tasks

HOUR_MS = 3_600_000
# Hours count from 1900, where a DateTime64 begins, so that no hour is negative.
_EPOCH_MS = -2_208_988_800_000


def hour_sql(time_ms: str) -> str:
    """Return the expression of the hour of `time_ms`, an expression of Unix milliseconds."""
    return f"toInt32(intDiv({time_ms} - ({_EPOCH_MS}), {HOUR_MS}))"


HOUR = hour_sql("toUnixTimestamp64Milli(created_at)")
# An id of UUIDv7's layout holds a time; any other id holds the one of 1970.
ID_HOUR = hour_sql("toUnixTimestamp64Milli(UUIDv7ToDateTime(toUUIDOrZero(task_id), 'UTC'))")
HOUR_START_MS = f"(toInt64(hour) * {HOUR_MS} + ({_EPOCH_MS}))"


def first_hour_from(time_ms: int) -> int:
    """Return the first hour that begins at `time_ms` or after it."""
    return -((_EPOCH_MS - time_ms) // HOUR_MS)


def hour_start_ms(hour: int) -> int:
    """Return when an hour begins. Unix milliseconds."""
    return hour * HOUR_MS + _EPOCH_MS


_SUM, _SET = "sum($name)", "groupUniqArrayArray($name)"
_LATENCIES, _COUNTS = (f"tupleElement(sumMap(latencies, latency_counts), {number})" for number in (1, 2))


@dataclass(frozen=True)
class Dimension:
    """
    A kind of cells: the `keys` that tell those of an hour apart, by their columns in `rollup_rows`, and its columns.

    `facts` returns the subquery of the cells of a scope's tasks, each with its `period`, an expression. `is_moving`
    tells that it has the column `moved_tasks`, for which it takes an expression.
    """

    name: str
    keys: Mapping[str, str]
    columns: Mapping[str, str]
    facts: Callable[[TaskScope, str], str]
    is_moving: bool = False

    def cells(self, scope: TaskScope, period: str) -> str:
        """Return the query of the cells of a scope's facts: `period`, the keys and the columns."""
        return f"SELECT {', '.join(('period', *self.keys, *self.columns))} FROM {self.facts(scope, period)}"

    def stored_cells(self, stored: str, period: str) -> str:
        """
        Return the same query of the stored hours of a project that meet a condition on `rollup_rows`.

        `period` is the expression of an hour's period.
        """
        columns = [f"{column} AS {name}" for name, column in self.keys.items()] + list(self.columns)
        return compose(_STORED, period=period, columns=", ".join(columns), dimension=self.name, stored=stored)

    def store(self, scope: TaskScope, computation: str) -> str:
        """Return the statement that stores the hours of a scope of one project; `computation` is an expression."""
        columns = {**self.columns, **({"moved_tasks": _SET} if self.is_moving else {})}
        return compose(
            _STORE,
            names=", ".join((*self.keys.values(), *columns)),
            dimension=self.name,
            computation=computation,
            keys=", ".join(("period", *self.keys)),
            sums=", ".join(compose(kind, name=name) for name, kind in columns.items()),
            facts=self.facts(scope, HOUR),
        )


_STORED = """
SELECT toInt64($period) AS period, $columns FROM rollup_rows
WHERE project_id = {project:String} AND dimension = '$dimension' AND $stored
"""
_STORE = """
INSERT INTO rollup_rows (project_id, dimension, computation, hour, $names)
SELECT {project:String}, '$dimension', $computation, $keys, $sums FROM $facts GROUP BY $keys
"""
_MOVED = f"if({HOUR} != {ID_HOUR}, [cityHash64(task_id)], []) AS moved_tasks"
_SESSION = "[cityHash64(session_id)] AS sessions"
# Without the last bits, as the quantiles read it.
_LATENCY = "reinterpretAsFloat32(bitAnd(reinterpretAsUInt32(toFloat32(assumeNotNull(latency_ms))), 0xFFFF0000))"
_TASKS = """(
    SELECT toInt64($period) AS period, toString(model) AS model, version_id AS version,
        toUInt64(1) AS tasks,
        toUInt64(ifNull(tokens_in, 0)) AS tokens_in,
        toUInt64(ifNull(tokens_out, 0)) AS tokens_out,
        $session,
        if(user_id = '', [], [cityHash64(user_id)]) AS users,
        if(isNull(latency_ms), [], [$latency]) AS latencies,
        if(isNull(latency_ms), [], [toUInt32(1)]) AS latency_counts,
        user_id AS user, $moved
    FROM task_rows FINAL WHERE $tasks
)"""
_FINDINGS = """(
    SELECT toInt64($period) AS period, toString(language) AS language,
        toUInt64(is_task) AS analysed_tasks, length(names) AS events,
        toUInt64(sentiment = 'positive') AS positive, toUInt64(sentiment = 'neutral') AS neutral,
        toUInt64(sentiment = 'negative') AS negative, $moved
    FROM $analysed
)"""
_EVENTS = """(
    SELECT toInt64($period) AS period, toString(arrayJoin(names)) AS name, toUInt64(1) AS events, $session
    FROM $analysed
)"""
_FEEDBACK = """(
    SELECT toInt64($period) AS period, toUInt64(flag = 'success') AS successes, toUInt64(flag = 'failure') AS failures
    FROM $flagged_tasks
)"""


def _tasks(scope: TaskScope, period: str) -> str:
    return compose(_TASKS, period=period, session=_SESSION, moved=_MOVED, latency=_LATENCY, tasks=scope.tasks())


def _users(scope: TaskScope, period: str) -> str:
    return f"(SELECT * FROM {_tasks(scope, period)} WHERE user != '')"


def _findings(scope: TaskScope, period: str) -> str:
    rows = analysed(scope, "created_at", "task_id", "sentiment", "language")
    return compose(_FINDINGS, period=period, moved=_MOVED, analysed=rows)


def _events(scope: TaskScope, period: str) -> str:
    return compose(_EVENTS, period=period, session=_SESSION, analysed=analysed(scope, "created_at", "session_id"))


def _feedback(scope: TaskScope, period: str) -> str:
    return compose(_FEEDBACK, period=period, flagged_tasks=flagged_tasks(scope, "created_at"))


ACTIVITY = Dimension(
    "activity",
    {"model": "value", "version": "version"},
    {
        "tasks": _SUM,
        "tokens_in": _SUM,
        "tokens_out": _SUM,
        "sessions": _SET,
        "users": _SET,
        "latencies": _LATENCIES,
        "latency_counts": _COUNTS,
    },
    _tasks,
    is_moving=True,
)
USERS = Dimension("user", {"user": "value"}, {"tasks": _SUM, "sessions": _SET}, _users)
FINDINGS = Dimension(
    "findings",
    {"language": "value"},
    {"analysed_tasks": _SUM, "events": _SUM, "positive": _SUM, "neutral": _SUM, "negative": _SUM},
    _findings,
    is_moving=True,
)
EVENTS = Dimension("event", {"name": "value"}, {"events": _SUM, "sessions": _SET}, _events)
FEEDBACK = Dimension("feedback", {}, {"successes": _SUM, "failures": _SUM}, _feedback)
DIMENSIONS = (ACTIVITY, USERS, FINDINGS, EVENTS, FEEDBACK)
