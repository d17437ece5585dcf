"""The quality of a definition by people's labels, and the threshold that they suggest."""

from __future__ import annotations

from typing import Any

import orjson

from phospho_schemas.messages import EventDefinition
from phospho_schemas.rows.jobs import ClassifierRow
from phospho_store.confidence import Interval, rate_interval
from phospho_store.registry.definition_sets import DefinitionRepository
from phospho_store.sql import compose
from phospho_store.store import Store

# Of detection alone, as it is the definition that is measured: neither a judgement nor the state of a session changes
# what it found, so the counts can differ from those of the view `events`.
# Labels are few beside tasks, and those of tasks that are gone count for nothing. What is found in a whole session
# stands at its last task.
_LABELLED = "(SELECT task_id FROM label_rows WHERE project_id = {project:String} AND event_name = {event:String})"
_LABELLED_TASKS = """
FROM
(
    SELECT task_id, toString(label) AS label
    FROM label_rows FINAL
    WHERE project_id = {project:String} AND event_name = {event:String} AND label != ''
) AS label
INNER JOIN
(
    SELECT task_id, max(has_it) AS is_found, min(created_at) AS logged_at
    FROM
    (
        SELECT task_id, created_at, has(events.name, {event:String}) AS has_it FROM analysis_rows FINAL
        WHERE project_id = {project:String} AND task_id IN $labelled
        UNION ALL
        SELECT task_id, created_at, has(events.name, {event:String}) AS has_it FROM session_analysis_rows FINAL
        WHERE project_id = {project:String} AND task_id IN $labelled
    )
    GROUP BY task_id
) AS analysis
ON label.task_id = analysis.task_id
"""
_COUNTS = """
SELECT
    countIf(label = 'confirmed') AS confirmed,
    countIf(label = 'rejected') AS rejected,
    countIf(label = 'confirmed' AND is_found) AS confirmed_found,
    countIf(label = 'rejected' AND is_found) AS rejected_found
$labelled_tasks
"""
_WEEKS = """
SELECT toString(toMonday(logged_at)) AS week, countIf(label = 'confirmed') AS confirmed, count() AS labelled
$labelled_tasks
WHERE is_found
GROUP BY week
ORDER BY week DESC
LIMIT {weeks:UInt8}
"""
MOST_WEEKS = 26


def label_counts(store: Store, project_id: str, event: str) -> dict[str, int]:
    """
    Return how many analysed tasks people have labelled `confirmed` and `rejected`.

    `confirmed_found` and `rejected_found` are those of them in which detection found the event.
    """
    [row] = store.rows(_of_labelled(_COUNTS), {"project": project_id, "event": event})
    return {name: int(count) for name, count in row.items()}


def weekly_precision(store: Store, project_id: str, event: str) -> list[dict[str, Any]]:
    """Return how many of the labelled events are confirmed, by the Monday of their task's week, the oldest first."""
    parameters = {"project": project_id, "event": event, "weeks": MOST_WEEKS}
    rows = store.rows(_of_labelled(_WEEKS), parameters)
    return [row | {"precision": row["confirmed"] / row["labelled"]} for row in reversed(rows)]


def _of_labelled(sql: str) -> str:
    return compose(sql, labelled_tasks=compose(_LABELLED_TASKS, labelled=_LABELLED))


# With fewer labels of either kind the classifier has its default threshold, which is no suggestion.
LABELS_FOR_A_THRESHOLD = 10

Content = dict[str, Any]


class DefinitionQuality:
    """Read the quality of definitions. Blocking; raises what the store raises."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._classifiers = DefinitionRepository(store)

    def read(self, definition: EventDefinition) -> Content:
        """
        Return precision and recall with their intervals, and how they were measured.

        `measured` is `cross_validation` where labels taught a classifier of this version: each task is then judged by a
        classifier that did not know its label. Otherwise it is `labels`, of the events that detection found. An
        interval is `{"estimate", "lower", "upper"}`, of 95 %; None without labels.
        """
        counts = label_counts(self._store, definition.project_id, definition.name)
        classifier = self._classifiers.classifier(definition.project_id, definition.name)
        learnt = _learnt_quality(definition, classifier)
        return {
            "confirmed": counts["confirmed"],
            "rejected": counts["rejected"],
            "weeks": weekly_precision(self._store, definition.project_id, definition.name),
            "version": definition.version,
            "classifier_version": classifier.version if classifier is not None and learnt else None,
        } | (_cross_validated(learnt) if learnt else _counted(counts))


def _learnt_quality(definition: EventDefinition, classifier: ClassifierRow | None) -> Content:
    """Return the quality of a classifier of this version; empty where there is none yet."""
    if classifier is None or classifier.definition_version != definition.version:
        return {}
    quality: Content = orjson.loads(classifier.quality)
    return quality


def _cross_validated(quality: Content) -> Content:
    is_enough = min(quality["confirmed"], quality["rejected"]) >= LABELS_FOR_A_THRESHOLD
    return {
        "measured": "cross_validation",
        "precision": _interval(quality["precision"]),
        "recall": _interval(quality["recall"]),
        "threshold": quality["threshold"],
        "suggested_threshold": quality["suggested_threshold"] if is_enough else None,
    }


def _counted(counts: dict[str, int]) -> Content:
    confirmed, labelled = counts["confirmed_found"], counts["confirmed_found"] + counts["rejected_found"]
    return {
        "measured": "labels",
        "precision": _as_json(rate_interval(confirmed, labelled)),
        "recall": _as_json(rate_interval(confirmed, counts["confirmed"])),
        "threshold": None,
        "suggested_threshold": None,
    }


def _interval(learnt: dict[str, float] | None) -> dict[str, float] | None:
    return None if learnt is None else {"estimate": learnt["value"], "lower": learnt["low"], "upper": learnt["high"]}


def _as_json(interval: Interval | None) -> dict[str, float] | None:
    if interval is None:
        return None
    return {"estimate": interval.estimate, "lower": interval.lower, "upper": interval.upper}
