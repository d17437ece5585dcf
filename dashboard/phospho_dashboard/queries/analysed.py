"""Analyses as people corrected them: the one place where the pages put labels beside what detection found."""

from __future__ import annotations

from phospho_dashboard.filters import Scope

_AS_FOUND = """(
    SELECT {outer}, CAST(events.name, 'Array(String)') AS names FROM analysis_rows FINAL WHERE {condition}
)"""
# Labels are few beside tasks; without them the ids of tasks need not be read at all.
_AS_CORRECTED = """(
    SELECT {outer}, arrayConcat(
        arrayFilter(name -> NOT has(label.rejected, name), found),
        arrayFilter(name -> NOT has(found, name), label.confirmed)
    ) AS names
    FROM
    (
        SELECT {inner}, CAST(events.name, 'Array(String)') AS found
        FROM analysis_rows FINAL WHERE {condition}
    ) AS analysis
    LEFT ANY JOIN
    (
        SELECT task_id, groupArrayIf(event_name, verdict = 'rejected') AS rejected,
            groupArrayIf(event_name, verdict = 'confirmed') AS confirmed
        FROM label_rows FINAL WHERE project_id = {{project:String}} GROUP BY task_id
    ) AS label
    ON analysis.task_id = label.task_id
)"""


def analysed(scope: Scope, *columns: str, also: str = "1") -> str:
    """
    Return a subquery of these columns of `analysis_rows` and `names`, the events of each task of `scope`.

    `also` is a condition on the table's columns that narrows it further.
    """
    condition = f"{scope.analyses()} AND {also}"
    if not scope.has_labels:
        return _AS_FOUND.format(outer=", ".join(columns), condition=condition)
    outer = ", ".join(f"analysis.{column} AS {column}" for column in columns)
    inner = ", ".join(dict.fromkeys(("task_id", *columns)))
    return _AS_CORRECTED.format(outer=outer, inner=inner, condition=condition)
