"""The definitions of every project, compiled, and never older than they may be."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

from phospho_schemas.messages import EventDefinition
from phospho_store.errors import StoreUnavailable
from phospho_workers.detection.definitions import Snapshot, compile_definitions

DEFAULT_REFRESH_INTERVAL_S = 0.5


class DefinitionCache:
    """
    Compiled definitions by project, asked for anew when a revision number says that one has changed.

    `revision` and `load` are those of the registry: they block, and raise StoreUnavailable. Thread-safe.
    """

    def __init__(
        self,
        revision: Callable[[], int],
        load: Callable[[], Sequence[EventDefinition]],
        refresh_interval_s: float = DEFAULT_REFRESH_INTERVAL_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ask_revision = revision
        self._load = load
        self._refresh_interval_s = refresh_interval_s
        self._clock = clock
        self._checked_at = float("-inf")
        self._sources: dict[str, list[EventDefinition]] = {}
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
            revision = self._ask_revision()
            if known is None or revision != known.revision:
                known = self._taken(self._load(), revision, known or Snapshot())
        except StoreUnavailable:
            if known is None:
                raise
        self._checked_at = self._clock()
        return known

    def _taken(self, definitions: Sequence[EventDefinition], revision: int, known: Snapshot) -> Snapshot:
        """Compile the projects whose definitions differ from those at hand; keep the others as they are."""
        sources: dict[str, list[EventDefinition]] = {}
        for definition in definitions:
            sources.setdefault(definition.project_id, []).append(definition)
        compiled = {
            project_id: known.by_project[project_id]
            if self._sources.get(project_id) == chosen
            else compile_definitions(chosen)
            for project_id, chosen in sources.items()
        }
        self._sources = sources
        return Snapshot(revision, compiled)
