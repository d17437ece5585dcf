"""The kinds of corrections that a project has."""

from __future__ import annotations

from phospho_store.sql.corrections import Corrections
from phospho_store.store import Store

_CORRECTIONS = """
SELECT
    (SELECT (count(), sum(cityHash64(event_name, task_id, label))) FROM label_rows FINAL
        WHERE project_id = {project:String} AND label != '') AS labels,
    EXISTS(
        SELECT 1 FROM judgement_rows WHERE project_id = {project:String} AND answer != '' LIMIT 1
    ) AS has_judgements,
    EXISTS(
        SELECT 1 FROM session_analysis_rows WHERE project_id = {project:String} AND notEmpty(events.name) LIMIT 1
    ) AS has_session_events,
    EXISTS(SELECT 1 FROM feedback_rows WHERE project_id = {project:String} LIMIT 1) AS has_feedback
"""


def read_corrections(store: Store, project_id: str) -> tuple[Corrections, int]:
    """
    Return what reading the events of a project has to look for beside its analyses, and a digest of its labels.

    Any label may be a bare one: whether one is takes another query.
    """
    [row] = store.rows(_CORRECTIONS, {"project": project_id})
    labels, digest = row.pop("labels")
    kinds = {kind: bool(has_any) for kind, has_any in row.items()}
    return Corrections(has_labels=labels > 0, has_bare_labels=labels > 0, **kinds), digest
