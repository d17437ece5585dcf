"""The cache of compiled definitions, refreshed from the store when they change."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from typing import Protocol

from phospho_schemas.messages import EventDefinition, ProjectSettings
from phospho_schemas.rows.jobs import ClassifierRow, StudentRow
from phospho_schemas.rows.themes import ThemeModelRow
from phospho_store.errors import StoreUnavailable
from phospho_store.registry.definition_sets import DefinitionSet
from phospho_workers.detection.definitions import CompiledDefinitions, Snapshot, compile_definitions
from phospho_workers.detection.learning.classifiers import BadClassifier, Classifier
from phospho_workers.detection.semantic.student import BadStudent, Student
from phospho_workers.detection.text.sides import Side
from phospho_workers.detection.themes.model import BadThemeModel, ThemeModel

logger = logging.getLogger(__name__)

DEFAULT_REFRESH_INTERVAL_S = 0.5
# The time that a batch waits for a store that does not answer, or for definitions that take long to compile.
DEFAULT_MAX_WAIT_S = 1.0


# `compile_definitions`, or `list_definitions` where no task is analysed.
Compile = Callable[
    [Sequence[EventDefinition], Mapping[str, Classifier], ProjectSettings, Student | None], CompiledDefinitions
]


class DefinitionSource(Protocol):
    """The source of definitions, a DefinitionRepository. Both methods block, and raise StoreUnavailable."""

    def revisions(self) -> tuple[int, ...]:
        """Return numbers; at least one changes with the definitions, classifiers or settings."""

    def read(self) -> DefinitionSet:
        """Return the current definitions, classifiers and settings."""


@dataclass(frozen=True)
class _ProjectSource:
    """The input of one project's compiled definitions."""

    definitions: Sequence[EventDefinition] = ()
    classifiers: Sequence[ClassifierRow] = ()
    settings: ProjectSettings = field(default_factory=ProjectSettings)
    student: StudentRow | None = None
    theme_model: ThemeModelRow | None = None

    def compiled(self, compiling: Compile) -> CompiledDefinitions:
        """Compile them, without the classifiers of other versions."""
        versions = {definition.name: definition.version for definition in self.definitions}
        current = [row for row in self.classifiers if row.definition_version == versions.get(row.name)]
        classifiers = {row.name: classifier for row in current if (classifier := _read(row)) is not None}
        student = None if self.student is None else read_student(self.student)
        compiled = compiling(self.definitions, classifiers, self.settings, student)
        if compiled.skipped:
            name, reason = next(iter(compiled.skipped.items()))
            project_id = self.definitions[0].project_id
            logger.warning("%s: %d definitions are skipped; %s: %s", project_id, len(compiled.skipped), name, reason)
        return replace(compiled, themes={} if self.theme_model is None else read_theme_models(self.theme_model))


class DefinitionCache:
    """Compiled definitions by project, read again when a revision says that one has changed. Thread-safe."""

    def __init__(
        self,
        source: DefinitionSource,
        refresh_interval_s: float = DEFAULT_REFRESH_INTERVAL_S,
        clock: Callable[[], float] = time.monotonic,
        compiling: Compile = compile_definitions,
    ) -> None:
        self._source = source
        self._compiling = compiling
        self._refresh_interval_s = refresh_interval_s
        self._clock = clock
        self._checked_at = float("-inf")
        self._revisions: tuple[int, ...] = ()
        self._sources: Mapping[str, _ProjectSource] = {}
        self._snapshot: Snapshot | None = None
        self._lock = threading.Lock()

    @property
    def is_stale(self) -> bool:
        """True if the store is to be asked again."""
        return self._snapshot is None or self._clock() - self._checked_at >= self._refresh_interval_s

    def current(self) -> Snapshot:
        """
        Return the current definitions, asking the store if the last question is `refresh_interval_s` old.

        While the store is away it returns the last ones. Raises StoreUnavailable as long as nothing was ever loaded:
        without definitions, detection would lose events.
        """
        with self._lock:
            snapshot = self._snapshot
            if snapshot is None or self.is_stale:
                snapshot = self._snapshot = self._refreshed(snapshot)
            return snapshot

    def _refreshed(self, snapshot: Snapshot | None) -> Snapshot:
        try:
            revisions = self._source.revisions()
            if snapshot is None or revisions != self._revisions:
                snapshot = self._compiled(self._source.read(), max(revisions), snapshot or Snapshot())
                self._revisions = revisions
        except StoreUnavailable:
            if snapshot is None:
                raise
        self._checked_at = self._clock()
        return snapshot

    def _compiled(self, definition_set: DefinitionSet, revision: int, previous: Snapshot) -> Snapshot:
        """Compile the projects that have changed, and keep the others as they are."""
        sources = _by_project(definition_set)
        compiled = {
            project_id: previous.by_project[project_id]
            if self._sources.get(project_id) == source
            else source.compiled(self._compiling)
            for project_id, source in sources.items()
        }
        self._sources = sources
        return Snapshot(revision, compiled)


class BackgroundCache:
    """
    A cache that is refreshed in its own thread, so that a store that hangs delays no caller for long.

    Thread-safe. As long as nothing was ever loaded, the caller waits.
    """

    def __init__(self, cache: DefinitionCache, max_wait_s: float = DEFAULT_MAX_WAIT_S) -> None:
        self._cache = cache
        self._max_wait_s = max_wait_s
        self._snapshot: Snapshot | None = None
        self._refresh: Future[Snapshot] | None = None
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="definitions")
        self._lock = threading.Lock()

    def current(self) -> Snapshot:
        """
        Return the current definitions, or the last ones after `max_wait_s`. Each refresh is waited for once.

        Raises what the cache raises.
        """
        with self._lock:
            if self._snapshot is None:
                self._snapshot = self._cache.current()
            elif self._refresh is not None:
                self._snapshot = self._result(self._refresh, self._snapshot, 0.0)
            elif self._cache.is_stale:
                self._refresh = self._thread.submit(self._cache.current)
                self._snapshot = self._result(self._refresh, self._snapshot, self._max_wait_s)
            return self._snapshot

    def _result(self, refresh: Future[Snapshot], previous: Snapshot, max_wait_s: float) -> Snapshot:
        if not wait([refresh], max_wait_s).done:
            return previous
        self._refresh = None
        return refresh.result()


def _read(row: ClassifierRow) -> Classifier | None:
    """Return a classifier, None where labels were too few or a newer release wrote it."""
    try:
        return replace(Classifier.from_json(row.classifier), version=row.version) if row.classifier else None
    except BadClassifier as error:
        logger.warning("%s: classifier %d of %s is not used: %s", row.project_id, row.version, row.name, error)
        return None


def read_student(row: StudentRow) -> Student | None:
    """Return a student, None where none was worth it or a newer release wrote it."""
    try:
        return Student.from_json(row.student, row.version) if row.student else None
    except BadStudent as error:
        logger.warning("%s: student %d is not used: %s", row.project_id, row.version, error)
        return None


def read_theme_models(row: ThemeModelRow) -> dict[Side, ThemeModel]:
    """Return the theme models of a row by side, without a side that has no theme or that a newer release wrote."""
    texts: dict[Side, str] = {"input": row.model, "output": row.output_model}
    models = {side: _read_theme_model(row, text) for side, text in texts.items() if text}
    return {side: model for side, model in models.items() if model is not None}


def _read_theme_model(row: ThemeModelRow, text: str) -> ThemeModel | None:
    try:
        return ThemeModel.from_json(text, row.version)
    except BadThemeModel as error:
        logger.warning("%s: theme model %d is not used: %s", row.project_id, row.version, error)
        return None


def _by_project(definition_set: DefinitionSet) -> dict[str, _ProjectSource]:
    """Return the source of every project that has a definition, themes or settings of its own."""
    definitions: dict[str, list[EventDefinition]] = {}
    classifiers: dict[str, list[ClassifierRow]] = {}
    for definition in definition_set.definitions:
        definitions.setdefault(definition.project_id, []).append(definition)
    for classifier in definition_set.classifiers:
        classifiers.setdefault(classifier.project_id, []).append(classifier)
    default = ProjectSettings()
    students = {student.project_id: student for student in definition_set.students}
    theme_models = {model.project_id: model for model in definition_set.theme_models}
    settings = {
        project.project_id: project.settings for project in definition_set.projects if project.settings != default
    }
    return {
        project_id: _ProjectSource(
            definitions.get(project_id, []),
            classifiers.get(project_id, []),
            settings.get(project_id, default),
            students.get(project_id),
            theme_model=theme_models.get(project_id),
        )
        for project_id in definitions.keys() | settings.keys() | theme_models.keys()
    }
