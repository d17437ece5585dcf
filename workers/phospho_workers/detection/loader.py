"""What detection is told, of every project, compiled, and never older than it may be."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from typing import Protocol

from phospho_schemas.messages import ClassifierRow, EventDefinition, ProjectSettings
from phospho_store.errors import StoreUnavailable
from phospho_store.registry.definition_sets import DefinitionSet
from phospho_workers.detection.definitions import CompiledDefinitions, Snapshot, compile_definitions
from phospho_workers.detection.learning.classifiers import BadClassifier, Classifier

logger = logging.getLogger(__name__)

DEFAULT_REFRESH_INTERVAL_S = 0.5
# What a batch waits for a store that does not answer, or for definitions that take long to compile.
DEFAULT_PATIENCE_S = 1.0


# `compile_definitions`, or `list_definitions` for who reads no task by them.
Compile = Callable[[Sequence[EventDefinition], Mapping[str, Classifier], ProjectSettings], CompiledDefinitions]


class Source(Protocol):
    """Where instructions come from: an DefinitionRepository. Both methods block, and raise StoreUnavailable."""

    def revisions(self) -> tuple[int, ...]:
        """Return numbers of which one changes with the instructions."""

    def read(self) -> DefinitionSet:
        """Return the instructions of now."""


@dataclass(frozen=True)
class _ProjectSource:
    """All that one project's compiled definitions follow from."""

    definitions: Sequence[EventDefinition] = ()
    classifiers: Sequence[ClassifierRow] = ()
    settings: ProjectSettings = field(default_factory=ProjectSettings)

    def compiled(self, compiling: Compile) -> CompiledDefinitions:
        """Compile them, without classifiers of other versions of their definitions."""
        versions = {one.name: one.version for one in self.definitions}
        current = [row for row in self.classifiers if row.definition_version == versions.get(row.name)]
        classifiers = {row.name: classifier for row in current if (classifier := _read(row)) is not None}
        compiled = compiling(self.definitions, classifiers, self.settings)
        if compiled.skipped:
            name, reason = next(iter(compiled.skipped.items()))
            project_id = self.definitions[0].project_id
            logger.warning(
                "%s: %d definitions are not looked for; %s: %s", project_id, len(compiled.skipped), name, reason
            )
        return compiled


class DefinitionCache:
    """Compiled definitions by project, asked for anew when a number says that one has changed. Thread-safe."""

    def __init__(
        self,
        source: Source,
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
        """Tell whether the store is to be asked again."""
        return self._snapshot is None or self._clock() - self._checked_at >= self._refresh_interval_s

    def current(self) -> Snapshot:
        """
        Return the definitions of now, asking the store where the last question is `refresh_interval_s` old.

        While the store is away it returns what it has. Raises StoreUnavailable as long as nothing was ever loaded:
        to detect nothing is not the same as to know that there is nothing to detect.
        """
        with self._lock:
            known = self._snapshot
            if known is None or self.is_stale:
                known = self._snapshot = self._refreshed(known)
            return known

    def _refreshed(self, known: Snapshot | None) -> Snapshot:
        try:
            revisions = self._source.revisions()
            if known is None or revisions != self._revisions:
                known = self._taken(self._source.read(), max(revisions), known or Snapshot())
                self._revisions = revisions
        except StoreUnavailable:
            if known is None:
                raise
        self._checked_at = self._clock()
        return known

    def _taken(self, told: DefinitionSet, revision: int, known: Snapshot) -> Snapshot:
        """Compile the projects that are told something else than before; keep the others as they are."""
        sources = _by_project(told)
        compiled = {
            project_id: known.by_project[project_id]
            if self._sources.get(project_id) == source
            else source.compiled(self._compiling)
            for project_id, source in sources.items()
        }
        self._sources = sources
        return Snapshot(revision, compiled)


class BackgroundCache:
    """
    A cache that is refreshed in a thread of its own, so that nobody waits for long: what hangs is not what is away.

    Thread-safe. As long as nothing was ever loaded there is nothing to return, and who asks waits for it.
    """

    def __init__(self, cache: DefinitionCache, patience_s: float = DEFAULT_PATIENCE_S) -> None:
        self._cache = cache
        self._patience_s = patience_s
        self._snapshot: Snapshot | None = None
        self._refresh: Future[Snapshot] | None = None
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="definitions")
        self._lock = threading.Lock()

    def current(self) -> Snapshot:
        """
        Return the definitions of now, or after `patience_s` those that are known; a refresh is waited for once.

        Raises what the cache raises.
        """
        with self._lock:
            if self._snapshot is None:
                self._snapshot = self._cache.current()
            elif self._refresh is not None:
                self._snapshot = self._taken(self._refresh, self._snapshot, 0.0)
            elif self._cache.is_stale:
                self._refresh = self._thread.submit(self._cache.current)
                self._snapshot = self._taken(self._refresh, self._snapshot, self._patience_s)
            return self._snapshot

    def _taken(self, refresh: Future[Snapshot], known: Snapshot, patience_s: float) -> Snapshot:
        if not wait([refresh], patience_s).done:
            return known
        self._refresh = None
        return refresh.result()


def _read(row: ClassifierRow) -> Classifier | None:
    """Return a classifier, or None where labels were too few or a newer writer wrote it."""
    try:
        return replace(Classifier.from_json(row.classifier), version=row.version) if row.classifier else None
    except BadClassifier as error:
        logger.warning("%s: classifier %d of %s is not used: %s", row.project_id, row.version, row.name, error)
        return None


def _by_project(told: DefinitionSet) -> dict[str, _ProjectSource]:
    """Return the source of every project that has a definition or switches something."""
    definitions: dict[str, list[EventDefinition]] = {}
    classifiers: dict[str, list[ClassifierRow]] = {}
    for definition in told.definitions:
        definitions.setdefault(definition.project_id, []).append(definition)
    for classifier in told.classifiers:
        classifiers.setdefault(classifier.project_id, []).append(classifier)
    default = ProjectSettings()
    settings = {project.project_id: project.settings for project in told.projects if project.settings != default}
    return {
        project_id: _ProjectSource(
            definitions.get(project_id, []), classifiers.get(project_id, []), settings.get(project_id, default)
        )
        for project_id in definitions.keys() | settings.keys()
    }
