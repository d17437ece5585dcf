"""The definitions of an embedded store, which only this process writes."""

from __future__ import annotations

from phospho_store.registry.definition_sets import TABLES, DefinitionRepository, DefinitionSet
from phospho_store.store import Store


class LocalDefinitions:
    """
    A DefinitionSource that asks the store for revisions only after this process has written definitions.

    The question costs 9 ms of CPU, and a batch of `phospho up` may be one task.
    """

    def __init__(self, store: Store, repository: DefinitionRepository) -> None:
        self._store = store
        self._repository = repository
        self._writes = -1
        self._revisions: tuple[int, ...] = ()

    def revisions(self) -> tuple[int, ...]:
        """Return the revisions as they are now. One thread at a time."""
        writes = self._store.writes(TABLES)
        if writes != self._writes:
            self._revisions, self._writes = self._repository.revisions(), writes
        return self._revisions

    def read(self) -> DefinitionSet:
        """Return the current definition set."""
        return self._repository.read()
