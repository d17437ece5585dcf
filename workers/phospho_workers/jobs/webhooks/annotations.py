"""The judgements and labels on the candidates of analyses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from phospho_store.events import Content, Row, content_of
from phospho_store.store import Store

# Parameters: projects, names, contents.
_JUDGEMENTS = """
SELECT project_id, name, definition_version, content, answer, score, judge, value, category FROM judgement_rows FINAL
WHERE project_id IN {projects:Array(String)} AND name IN {names:Array(String)} AND content IN {contents:Array(String)}
"""
# Parameters: projects, names, tasks.
_LABELS = """
SELECT project_id, task_id, event_name AS name, toString(label) AS label FROM label_rows FINAL
WHERE project_id IN {projects:Array(String)} AND event_name IN {names:Array(String)}
    AND task_id IN {tasks:Array(String)} AND label != ''
"""


class Annotations(NamedTuple):
    """Judgements by their content, and labels (confirmed, rejected) by task and event name, of one project."""

    judgements: Mapping[Content, Row]
    labels: Mapping[tuple[str, str], str]


class AnnotationReader:
    """Reads of judgements and labels. Blocking; raises what the store raises."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def of(self, analyses: Sequence[Row]) -> Mapping[str, Annotations]:
        """Return by project the judgements and labels on the candidates of analyses."""
        project_ids = {row["project_id"] for row in analyses}
        judgements: dict[str, dict[Content, Row]] = {project_id: {} for project_id in project_ids}
        labels: dict[str, dict[tuple[str, str], str]] = {project_id: {} for project_id in project_ids}
        uncertain = [row for row in analyses if row["candidates"]]
        if uncertain:
            parameters = _parameters(uncertain)
            for judgement in self._store.rows(_JUDGEMENTS, parameters):
                judgements[judgement["project_id"]][content_of(judgement)] = judgement
            for label in self._store.rows(_LABELS, parameters):
                labels[label["project_id"]][label["task_id"], label["name"]] = label["label"]
        return {project_id: Annotations(judgements[project_id], labels[project_id]) for project_id in project_ids}


def _parameters(analyses: Sequence[Row]) -> dict[str, list[str]]:
    candidates = [candidate for row in analyses for candidate in row["candidates"]]
    return {
        "projects": sorted({row["project_id"] for row in analyses}),
        "tasks": sorted({row["task_id"] for row in analyses}),
        "names": sorted({candidate["name"] for candidate in candidates}),
        "contents": sorted({candidate["content"] for candidate in candidates}),
    }
