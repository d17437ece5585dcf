"""Which tasks would teach a definition most, were somebody to label them."""

from __future__ import annotations

from collections.abc import Callable

from phospho_schemas.engines import engine_spec
from phospho_workers.detection.definitions import NO_DEFINITIONS, CompiledDefinitions, Snapshot, compile_definitions
from phospho_workers.detection.detect import check_task
from phospho_workers.detection.learning.quality import Candidate, most_informative
from phospho_workers.detection.text.sides import texts_of
from phospho_workers.jobs.backfills.history import History, Span
from phospho_workers.jobs.backfills.task_backfill import analyse_project, events_only

_TASKS = 1_000
# Of a definition with this threshold every task that says anything is found, with its score.
_EVERYTHING = 0.0


class LabelQueue:
    """Chooses among the latest 1,000 tasks that have no label. Blocking; half a second."""

    def __init__(self, history: History, definitions: Callable[[], Snapshot]) -> None:
        self._history = history
        self._definitions = definitions

    def tasks(self, project_id: str, event_name: str, count: int = 20) -> list[str]:
        """Return the ids of the tasks that would teach most, the first one first; none where nothing can be taught."""
        known = self._definitions().by_project.get(project_id, NO_DEFINITIONS)
        definition = next((one for one in known.definitions if one.name == event_name), None)
        if definition is None or not engine_spec(definition.engine).learns or definition in known.of_sessions:
            return []
        ids = self._history.newest(Span(project_id), _TASKS, without_label=event_name)
        tasks = {one["task_id"]: one for one in self._history.tasks(project_id, ids) if check_task(one) is None}
        candidates = [
            Candidate(
                row["task_id"], " ".join(texts_of(tasks[row["task_id"]], definition.scope).values()), event["score"]
            )
            for row in analyse_project(list(tasks.values()), _finding_all(known, event_name))
            for event in row["events"]
            if event["name"] == event_name
        ]
        return most_informative(candidates, definition.threshold, count)


def _finding_all(known: CompiledDefinitions, name: str) -> CompiledDefinitions:
    definitions = [
        one.model_copy(update={"threshold": _EVERYTHING}) if one.name == name else one for one in known.definitions
    ]
    return events_only(compile_definitions(definitions, known.classifiers, known.settings))
