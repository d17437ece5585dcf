"""What detection is told, of every project, compiled, and never older than it may be."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from phospho_schemas.messages import EventDefinition, HeadRow, ProjectSettings
from phospho_store.errors import StoreUnavailable
from phospho_store.instructions import Instructions
from phospho_workers.detection.definitions import CompiledDefinitions, Snapshot, compile_definitions
from phospho_workers.detection.heads import BadHead, Head

logger = logging.getLogger("phospho.detection")

DEFAULT_REFRESH_INTERVAL_S = 0.5


class Source(Protocol):
    """Where instructions come from: an InstructionBook. Both methods block, and raise StoreUnavailable."""

    def revisions(self) -> tuple[int, ...]:
        """Return numbers of which one changes with the instructions."""

    def read(self) -> Instructions:
        """Return the instructions of now."""


@dataclass(frozen=True)
class _ProjectSource:
    """All that one project's compiled definitions follow from."""

    definitions: Sequence[EventDefinition] = ()
    heads: Sequence[HeadRow] = ()
    settings: ProjectSettings = field(default_factory=ProjectSettings)

    def compiled(self) -> CompiledDefinitions:
        """Compile them; a head of another version of its definition was taught something else, and is left out."""
        versions = {one.name: one.version for one in self.definitions}
        current = [row for row in self.heads if row.definition_version == versions.get(row.name)]
        heads = {row.name: head for row in current if (head := _read(row)) is not None}
        return compile_definitions(self.definitions, heads, self.settings)


class DefinitionCache:
    """Compiled definitions by project, asked for anew when a number says that one has changed. Thread-safe."""

    def __init__(
        self,
        source: Source,
        refresh_interval_s: float = DEFAULT_REFRESH_INTERVAL_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._source = source
        self._refresh_interval_s = refresh_interval_s
        self._clock = clock
        self._checked_at = float("-inf")
        self._revisions: tuple[int, ...] = ()
        self._sources: Mapping[str, _ProjectSource] = {}
        self._snapshot: Snapshot | None = None
        self._lock = threading.Lock()

    def current(self) -> Snapshot:
        """
        Return the definitions of now, asking the store where the last question is `refresh_interval_s` old.

        While the store is away it returns what it has. Raises StoreUnavailable as long as nothing was ever loaded:
        to detect nothing is not the same as to know that there is nothing to detect.
        """
        with self._lock:
            if self._snapshot is None or self._clock() - self._checked_at >= self._refresh_interval_s:
                self._snapshot = self._refreshed(self._snapshot)
            return self._snapshot

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

    def _taken(self, told: Instructions, revision: int, known: Snapshot) -> Snapshot:
        """Compile the projects that are told something else than before; keep the others as they are."""
        sources = _by_project(told)
        compiled = {
            project_id: known.by_project[project_id] if self._sources.get(project_id) == source else source.compiled()
            for project_id, source in sources.items()
        }
        self._sources = sources
        return Snapshot(revision, compiled)


def _read(row: HeadRow) -> Head | None:
    """Return a head; None where there were too few labels for one, or where it can't be read, as of a newer writer."""
    try:
        return replace(Head.from_json(row.head), version=row.version) if row.head else None
    except BadHead as error:
        logger.warning("%s: head %d of %s is not used: %s", row.project_id, row.version, row.name, error)
        return None


def _by_project(told: Instructions) -> dict[str, _ProjectSource]:
    """Return the source of every project that has a definition or switches something."""
    definitions: dict[str, list[EventDefinition]] = {}
    heads: dict[str, list[HeadRow]] = {}
    for definition in told.definitions:
        definitions.setdefault(definition.project_id, []).append(definition)
    for head in told.heads:
        heads.setdefault(head.project_id, []).append(head)
    default = ProjectSettings()
    settings = {project.project_id: project.settings for project in told.projects if project.settings != default}
    return {
        project_id: _ProjectSource(
            definitions.get(project_id, []), heads.get(project_id, []), settings.get(project_id, default)
        )
        for project_id in definitions.keys() | settings.keys()
    }
