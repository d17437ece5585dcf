"""The definitions of one project, compiled into engines."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from phospho_schemas.definitions.engines import engine_spec, engines_with
from phospho_schemas.definitions.validation import crowded_out, needs_session, no_room
from phospho_schemas.messages import EventDefinition, ProjectSettings
from phospho_workers.detection.engines import ENGINES
from phospho_workers.detection.engines.engine import Engine, Match, Matches
from phospho_workers.detection.learning.classifiers import NO_CLASSIFIERS, Classifier
from phospho_workers.detection.semantic.student import Student
from phospho_workers.detection.text.sides import SIDES, Side, reads_side
from phospho_workers.detection.themes.model import ThemeModel


@dataclass(frozen=True)
class CompiledDefinitions:
    """
    The definitions of a project with the engines that read each side of a task. Safe to share between threads.

    definitions: all that are detected, in tasks or in sessions.
    of_sessions: those that need more than one task. Jobs detect them once the session is there.
    skipped: the reason of each definition that can't be used, by name.
    classifiers: those of definitions whose engine learns, by name.
    student: the map of the project's texts into the space of an encoder, None where there is none.
    themes: the project's theme models by the side whose texts they group; of a side without one, none.
    """

    engines: Mapping[Side, Sequence[Engine]] = field(default_factory=dict)
    skipped: Mapping[str, str] = field(default_factory=dict)
    definitions: Sequence[EventDefinition] = ()
    of_sessions: Sequence[EventDefinition] = ()
    classifiers: Mapping[str, Classifier] = field(default_factory=dict)
    settings: ProjectSettings = field(default_factory=ProjectSettings)
    student: Student | None = None
    themes: Mapping[Side, ThemeModel] = field(default_factory=dict)

    @property
    def reads_other_side(self) -> bool:
        """True if a match on one side of a task may depend on the other side."""
        return any(classifier.other_side_weight for classifier in self.classifiers.values())

    def match(self, texts: Sequence[str], side: Side, other_sides: Sequence[str] = ()) -> Sequence[Matches]:
        """Return the matches of all engines in each of `texts`; `Engine.match` has the parameters."""
        matches: list[list[Match]] = [[] for _ in texts]
        for engine in self.engines.get(side, ()):
            for text_matches, engine_matches in zip(matches, engine.match(texts, side, other_sides), strict=True):
                text_matches.extend(engine_matches)
        return matches


NO_DEFINITIONS = CompiledDefinitions()


def check_definition(definition: EventDefinition) -> str | None:
    """Return why a definition can't be used, in a sentence for the person who wrote it, or None."""
    if definition.is_last_task and definition.context_turns:
        return "is_last_task and context_turns do not go together: of a session's end choose scope: session"
    engine = ENGINES.get(definition.engine)
    if engine is None:
        return f"there is no engine {definition.engine!r}; there are {', '.join(ENGINES)}"
    return _score_refusal(definition) or engine.refusal(definition)


def definition_warning(definition: EventDefinition) -> str | None:
    """Return what a usable definition may do against the wish of its author, in a sentence, or None."""
    return ENGINES[definition.engine].warning(definition)


def _score_refusal(definition: EventDefinition) -> str | None:
    """Return why the score can't mean what `score_range` asks for, or None."""
    score_range = definition.score_range
    if score_range.type not in engine_spec(definition.engine).score_types:
        engines = " or ".join(engines_with(lambda spec: score_range.type in spec.score_types))
        return (
            f"the engine {definition.engine} gives no {score_range.type}: "
            f"set engine: {engines}, or leave score_range out"
        )
    if score_range.type == "range" and not (math.isfinite(score_range.min) and math.isfinite(score_range.max)):
        return "the bounds of the range are not finite"
    if score_range.type == "range" and score_range.min >= score_range.max:
        return f"the range has no room: its min {score_range.min:g} is not below its max {score_range.max:g}"
    if score_range.type == "category" and len(set(score_range.categories)) < 2:
        return "it chooses a category and has fewer than two: give score_range.categories"
    return None


def compile_definitions(
    definitions: Sequence[EventDefinition],
    classifiers: Mapping[str, Classifier] = NO_CLASSIFIERS,
    settings: ProjectSettings = ProjectSettings(),  # noqa: B008 (never changed)
    student: Student | None = None,
) -> CompiledDefinitions:
    """
    Compile the definitions of one project; those that can't be used are skipped and harm no other.

    Deleted definitions are left out. Of several versions of one name the greatest counts. The order does not matter.
    `classifiers` has the trained classifiers by the name of their definition, and `student` is that of the project.
    """
    listed = list_definitions(definitions, classifiers, settings, student)
    of_tasks = [definition for definition in listed.definitions if not needs_session(definition)]
    by_engine = {name: [definition for definition in of_tasks if definition.engine == name] for name in ENGINES}
    engines = {
        name: _compiled(ENGINES[name], group, classifiers, student) for name, group in by_engine.items() if group
    }
    by_side = {
        side: [
            engine
            for name, engine in engines.items()
            if any(reads_side(definition, side) for definition in by_engine[name])
        ]
        for side in SIDES
    }
    return replace(listed, engines=by_side)


def list_definitions(
    definitions: Sequence[EventDefinition],
    classifiers: Mapping[str, Classifier],
    settings: ProjectSettings,
    student: Student | None = None,
) -> CompiledDefinitions:
    """
    Return the result of `compile_definitions` without engines: it matches nothing and costs next to nothing to hold.

    It is for code that has to know the definitions and analyses no task by them.
    """
    latest = _latest(definitions)
    reasons = {definition.name: check_definition(definition) for definition in latest}
    # An older release, or two processes at once, may have stored more than there is room for.
    accepted = [definition for definition in latest if reasons[definition.name] is None]
    engine_of = {definition.name: definition.engine for definition in accepted}
    reasons |= {name: no_room(engine_of[name]) for name in crowded_out({}, accepted)}
    usable = [definition for definition in latest if reasons[definition.name] is None]
    return CompiledDefinitions(
        skipped={name: reason for name, reason in reasons.items() if reason is not None},
        definitions=usable,
        of_sessions=[definition for definition in usable if needs_session(definition)],
        classifiers={
            definition.name: classifiers[definition.name]
            for definition in usable
            if engine_spec(definition.engine).learns and definition.name in classifiers
        },
        settings=settings,
        student=student,
    )


def _compiled(
    engine: type[Engine],
    definitions: Sequence[EventDefinition],
    classifiers: Mapping[str, Classifier],
    student: Student | None,
) -> Engine:
    return engine(definitions, classifiers, student) if engine.spec.learns else engine(definitions)


def _latest(definitions: Iterable[EventDefinition]) -> list[EventDefinition]:
    """Return the greatest version of each name, ordered by name, without deleted ones."""
    in_order = sorted(definitions, key=lambda definition: (definition.name, definition.version, definition.revision))
    latest = {definition.name: definition for definition in in_order}
    return [definition for definition in latest.values() if not definition.is_deleted]


@dataclass(frozen=True)
class Snapshot:
    """The definitions of every project at one moment; a later snapshot has a greater `revision`."""

    revision: int = 0
    by_project: Mapping[str, CompiledDefinitions] = field(default_factory=dict)
