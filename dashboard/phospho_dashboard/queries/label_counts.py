"""Counts of labels by whether detection found the event."""

from __future__ import annotations

from phospho_store.sql import compose
from phospho_store.store import Store

# Of detection alone, as it is the definition that is measured: neither a judgement nor the state of a session changes
# what it found, so the counts can differ from those of the view `events`.
# Labels are few beside tasks, and those of tasks that are gone count for nothing. What is found in a whole session
# stands at its last task.
_LABELLED = "(SELECT task_id FROM label_rows WHERE project_id = {project:String} AND event_name = {event:String})"
_COUNTS = """
SELECT
    countIf(label = 'confirmed') AS confirmed,
    countIf(label = 'rejected') AS rejected,
    countIf(label = 'confirmed' AND is_found) AS confirmed_found,
    countIf(label = 'rejected' AND is_found) AS rejected_found
FROM
(
    SELECT task_id, toString(label) AS label
    FROM label_rows FINAL
    WHERE project_id = {project:String} AND event_name = {event:String} AND label != ''
) AS label
INNER JOIN
(
    SELECT task_id, max(has_it) AS is_found
    FROM
    (
        SELECT task_id, has(events.name, {event:String}) AS has_it FROM analysis_rows FINAL
        WHERE project_id = {project:String} AND task_id IN $labelled
        UNION ALL
        SELECT task_id, has(events.name, {event:String}) AS has_it FROM session_analysis_rows FINAL
        WHERE project_id = {project:String} AND task_id IN $labelled
    )
    GROUP BY task_id
) AS analysis
ON label.task_id = analysis.task_id
"""


def label_counts(store: Store, project_id: str, event: str) -> dict[str, int]:
    """
    Return how many analysed tasks people have labelled `confirmed` and `rejected`.

    `confirmed_found` and `rejected_found` are those of them in which detection found the event.
    """
    [row] = store.rows(compose(_COUNTS, labelled=_LABELLED), {"project": project_id, "event": event})
    return {name: int(count) for name, count in row.items()}
