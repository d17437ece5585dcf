"""The diff of two versions of a definition: what one finds in stored tasks and the other does not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from phospho_schemas.messages import EventDefinition
from phospho_workers.detection.definitions import NO_DEFINITIONS, CompiledDefinitions, Snapshot, compile_definitions
from phospho_workers.detection.learning.classifiers import Classifier
from phospho_workers.detection.semantic.student import Student
from phospho_workers.jobs.backfills.definition_backfill import events_only
from phospho_workers.jobs.backfills.history import History, Span
from phospho_workers.jobs.learning.examples import LabelledTasks
from phospho_workers.jobs.learning.trainer import ClassifierTrainer
from phospho_workers.jobs.sessions.session_detection import as_task_definition, group_by_reading
from phospho_workers.jobs.sessions.session_facts import SessionFacts
from phospho_workers.trials.definition_run import Event, Task, definition_run, valid_tasks

_TASKS_AT_ONCE = 500
_MAX_EXAMPLES = 20
_PREVIEW_CHARACTERS = 300
MAX_TASKS = 50_000


class VersionDiff:
    """Runs both versions on stored tasks. Blocking, for about the time of detection: use a thread."""

    def __init__(
        self,
        history: History,
        facts: SessionFacts,
        definitions: Callable[[], Snapshot],
        classifiers: TrialClassifiers,
    ) -> None:
        self._history = history
        self._facts = facts
        self._definitions = definitions
        self._classifiers = classifiers

    def diff(self, old: EventDefinition | None, new: EventDefinition, max_tasks: int) -> dict[str, Any]:
        """
        Return the counts and examples of what only `new`, only `old` and both find in the latest tasks.

        `old` None finds nothing. Each version is compiled with the project's other definitions as they are, and with
        the classifier that its labels train.
        """
        span = Span(new.project_id)
        runs = [
            definition_run(self._facts, version or new, self._compiled_with(version, new)) for version in (old, new)
        ]
        changes = _Changes()
        ids = self._history.newest(span, min(max_tasks, MAX_TASKS))
        for begin in range(0, len(ids), _TASKS_AT_ONCE):
            tasks = valid_tasks(self._history, span.project_id, ids[begin : begin + _TASKS_AT_ONCE])
            before, after = (run(tasks) for run in runs)
            for task in tasks:
                changes.add(task, before.get(task["task_id"]), after.get(task["task_id"]))
        return changes.summary(len(ids))

    def _compiled_with(self, version: EventDefinition | None, new: EventDefinition) -> CompiledDefinitions:
        """Return the project's definitions with one version in place of the stored one; None leaves it out."""
        current = self._definitions().by_project.get(new.project_id, NO_DEFINITIONS)
        others = [definition for definition in current.definitions if definition.name != new.name]
        if version is None:
            return events_only(compile_definitions(others, current.classifiers, current.settings, current.student))
        stored = current.classifiers.get(new.name) if version in current.definitions else None
        classifier = stored or self._classifiers.classifier(version, others, current.student)
        classifiers = {name: trained for name, trained in current.classifiers.items() if name != new.name}
        if classifier is not None:
            classifiers[new.name] = classifier
        return events_only(compile_definitions([*others, version], classifiers, current.settings, current.student))


class _Changes:
    """Counts of what two versions find, with the first examples of each kind of difference."""

    def __init__(self) -> None:
        self._newly: list[dict[str, Any]] = []
        self._no_longer: list[dict[str, Any]] = []
        self._counts = {"newly_found": 0, "no_longer_found": 0, "found_by_both": 0}

    def add(self, task: Task, before: Event | None, after: Event | None) -> None:
        """Add the events of both versions in one task."""
        if before is not None and after is not None:
            self._counts["found_by_both"] += 1
        elif after is not None:
            self._counts["newly_found"] += 1
            self._newly += [_example(task, after)] if len(self._newly) < _MAX_EXAMPLES else []
        elif before is not None:
            self._counts["no_longer_found"] += 1
            self._no_longer += [_example(task, before)] if len(self._no_longer) < _MAX_EXAMPLES else []

    def summary(self, tasks: int) -> dict[str, Any]:
        """Return the counts, and the examples under "newly" and "no_longer"."""
        return {"tasks": tasks, **self._counts, "examples": {"newly": self._newly, "no_longer": self._no_longer}}


def _example(task: Task, event: Event) -> dict[str, Any]:
    return {
        "task_id": task["task_id"],
        "session_id": task["session_id"],
        "score": event["score"],
        "evidence": event["evidence"],
        "input": task["input"][:_PREVIEW_CHARACTERS],
        "output": task["output"][:_PREVIEW_CHARACTERS],
    }


class TrialClassifiers:
    """Trains classifiers of versions that are not stored. Blocking; raises what the store raises."""

    def __init__(self, tasks: LabelledTasks, trainer: ClassifierTrainer) -> None:
        self._tasks = tasks
        self._trainer = trainer

    def classifier(
        self, definition: EventDefinition, others: Sequence[EventDefinition], student: Student | None
    ) -> Classifier | None:
        """
        Return the classifier of a version beside the project's other definitions, None without labels.

        Only people's labels count: a judgement is about the version that the judge was asked about.
        """
        if not self._trainer.can_train(definition):
            return None
        learning = [other for other in others if self._trainer.can_train(other)]
        group = next(group for group in group_by_reading([*learning, definition]).values() if definition in group)
        examples = self._tasks.examples(definition.project_id, group)
        examples[definition.name] = [example for example in examples[definition.name] if example.weight == 1.0]
        if not examples[definition.name]:
            return None
        of_tasks = [as_task_definition(member) for member in group]
        trained = self._trainer.train(of_tasks, examples, [definition.name], student)
        classifier = trained[definition.name].classifier
        return Classifier.from_json(classifier) if classifier else None
