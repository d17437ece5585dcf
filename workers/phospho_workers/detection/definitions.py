"""The definitions of one project, compiled: what detection holds while it works."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from phospho_schemas.definitions import crowded_out, needs_session, no_room
from phospho_schemas.messages import EventDefinition, ProjectSettings
from phospho_workers.detection.engine import SIDES, Engine, Hit, Hits, Side, looks_at
from phospho_workers.detection.engines import ENGINES
from phospho_workers.detection.engines.semantic import NO_CLASSIFIERS, SemanticEngine
from phospho_workers.detection.learning.classifiers import Classifier


@dataclass(frozen=True)
class CompiledDefinitions:
    """
    The engines that read each side of a task, with the definitions of a project; safe to share between threads.

    `skipped` has the definitions that no engine could take, by name, with the reason. `of_sessions` has those that
    need more than one task: they are looked for beside the stream, when the session is there. `classifiers` has what
    was
    learnt from labels, by name, of those whose engine uses it. `definitions` has all that are looked for, in the one
    way or the other.
    """

    engines: Mapping[Side, Sequence[Engine]] = field(default_factory=dict)
    skipped: Mapping[str, str] = field(default_factory=dict)
    definitions: Sequence[EventDefinition] = ()
    of_sessions: Sequence[EventDefinition] = ()
    classifiers: Mapping[str, Classifier] = field(default_factory=dict)
    settings: ProjectSettings = field(default_factory=ProjectSettings)

    @property
    def reads_beside(self) -> bool:
        """Tell whether what is found on one side of a task may depend on the other side of it."""
        return any(classifier.beside_weight for classifier in self.classifiers.values())

    def find(self, texts: Sequence[str], side: Side, beside: Sequence[str] = ()) -> Sequence[Hits]:
        """Return what all engines find in each of `texts`, which are of that side; `beside` as engines take it."""
        return [[hit for hit in hits if hit.is_found] for hits in self.weigh(texts, side, beside)]

    def weigh(self, texts: Sequence[str], side: Side, beside: Sequence[str] = ()) -> Sequence[Hits]:
        """Return what all engines find in each of `texts`, and what they nearly do."""
        found: list[list[Hit]] = [[] for _ in texts]
        for engine in self.engines.get(side, ()):
            for of_text, hits in zip(found, engine.find(texts, side, beside), strict=True):
                of_text.extend(hits)
        return found


NO_DEFINITIONS = CompiledDefinitions()


def check_definition(definition: EventDefinition) -> str | None:
    """Return why a definition can't be used, in a sentence for the person who wrote it; None where it can."""
    if definition.is_last_task and definition.context_turns:
        return "is_last_task and context_turns do not go together: of a session's end choose scope: session"
    engine = ENGINES.get(definition.engine)
    if engine is None:
        return f"there is no engine {definition.engine!r}; there are {', '.join(ENGINES)}"
    return _score_refusal(definition) or engine.refusal(definition)


def _score_refusal(definition: EventDefinition) -> str | None:
    """Return why a definition's score can't mean what it should; None where it can."""
    wanted = definition.score_range
    if wanted.type == "confidence":
        return None
    if definition.engine != "llm":
        return f"the engine {definition.engine} gives no {wanted.type}: set engine: llm, or leave score_range out"
    if wanted.type == "range" and not (math.isfinite(wanted.min) and math.isfinite(wanted.max)):
        return "the bounds of the range are not finite"
    if wanted.type == "range" and wanted.min >= wanted.max:
        return f"the range has no room: its min {wanted.min:g} is not below its max {wanted.max:g}"
    if wanted.type == "category" and len(set(wanted.categories)) < 2:
        return "it chooses a category and has fewer than two: give score_range.categories"
    return None


def compile_definitions(
    definitions: Sequence[EventDefinition],
    classifiers: Mapping[str, Classifier] = NO_CLASSIFIERS,
    settings: ProjectSettings = ProjectSettings(),  # noqa: B008 (never changed)
) -> CompiledDefinitions:
    """
    Compile the definitions of one project; those that can't be are skipped and harm no other.

    Deleted ones are left out. Of several versions of one name the greatest counts. The order does not matter.
    `classifiers` has what was learnt from labels, by the name of the definition.
    """
    listed = list_definitions(definitions, classifiers, settings)
    of_tasks = [one for one in listed.definitions if not needs_session(one)]
    by_engine = {name: [one for one in of_tasks if one.engine == name] for name in ENGINES}
    built = [(_engine(name, chosen, classifiers), chosen) for name, chosen in by_engine.items() if chosen]
    engines = {
        side: [engine for engine, chosen in built if any(looks_at(one, side) for one in chosen)] for side in SIDES
    }
    return replace(listed, engines=engines)


def list_definitions(
    definitions: Sequence[EventDefinition], classifiers: Mapping[str, Classifier], settings: ProjectSettings
) -> CompiledDefinitions:
    """
    Return all of `compile_definitions` but the engines: what finds nothing, and costs next to nothing to hold.

    It is for those who have to know what there is, and read no task by it.
    """
    current = _current(definitions)
    reasons = {one.name: check_definition(one) for one in current}
    # What was stored beyond it by an older release, or at once by two processes.
    reasons |= dict.fromkeys(crowded_out((), [one for one in current if reasons[one.name] is None]), no_room().message)
    usable = [one for one in current if reasons[one.name] is None]
    return CompiledDefinitions(
        skipped={name: reason for name, reason in reasons.items() if reason is not None},
        definitions=usable,
        of_sessions=[one for one in usable if needs_session(one)],
        classifiers={
            one.name: classifiers[one.name] for one in usable if one.engine == "semantic" and one.name in classifiers
        },
        settings=settings,
    )


def _engine(name: str, chosen: Sequence[EventDefinition], classifiers: Mapping[str, Classifier]) -> Engine:
    return SemanticEngine(chosen, classifiers) if name == "semantic" else ENGINES[name](chosen)


def _current(definitions: Iterable[EventDefinition]) -> list[EventDefinition]:
    """Return the greatest version of each name, by name, without those that are deleted."""
    latest = {one.name: one for one in sorted(definitions, key=lambda one: (one.name, one.version, one.revision))}
    return [one for one in latest.values() if not one.is_deleted]


@dataclass(frozen=True)
class Snapshot:
    """The definitions of every project at one moment; `revision` is greater for every later one."""

    revision: int = 0
    by_project: Mapping[str, CompiledDefinitions] = field(default_factory=dict)
