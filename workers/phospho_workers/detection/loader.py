"""The definitions of every project, compiled, and never older than they may be."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from phospho_schemas.messages import EventDefinition
from phospho_store.errors import StoreUnavailable
from phospho_workers.detection.definitions import CompiledDefinitions, compile_definitions

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
        self._revision: int | None = None
        self._checked_at = float("-inf")
        self._sources: dict[str, list[EventDefinition]] = {}
        self._compiled: Mapping[str, CompiledDefinitions] = MappingProxyType({})
        self._lock = threading.Lock()

    def current(self) -> Mapping[str, CompiledDefinitions]:
        """
        Return the definitions by project, asking the store where the last question is `refresh_interval_s` old.

        While the store is away it returns what it has. Raises StoreUnavailable as long as nothing was ever loaded:
        to detect nothing is not the same as to know that there is nothing to detect.
        """
        with self._lock:
            if self._clock() - self._checked_at >= self._refresh_interval_s:
                self._refresh()
            return self._compiled

    def _refresh(self) -> None:
        try:
            revision = self._ask_revision()
            if revision != self._revision:
                self._take(self._load())
                self._revision = revision
        except StoreUnavailable:
            if self._revision is None:
                raise
        self._checked_at = self._clock()

    def _take(self, definitions: Sequence[EventDefinition]) -> None:
        """Compile the projects whose definitions differ from those at hand; keep the others as they are."""
        sources: dict[str, list[EventDefinition]] = {}
        for definition in definitions:
            sources.setdefault(definition.project_id, []).append(definition)
        self._compiled = MappingProxyType(
            {project_id: self._compile(project_id, chosen) for project_id, chosen in sources.items()}
        )
        self._sources = sources

    def _compile(self, project_id: str, definitions: list[EventDefinition]) -> CompiledDefinitions:
        if self._sources.get(project_id) == definitions:
            return self._compiled[project_id]
        return compile_definitions(definitions)
