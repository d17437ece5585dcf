"""The definitions, classifiers and settings that detection works with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from phospho_schemas.ids import HybridClock
from phospho_schemas.messages import ClassifierRow, EventDefinition, Project
from phospho_store.registry.registry import Registry
from phospho_store.repository import Repository
from phospho_store.store import Store

# Detection reads the latest rows of these; a change of any of them changes the events that it finds.
TABLES = ("definition_rows", "classifier_rows", "project_rows")
_LABELS = ("label_rows",)
_NEWEST = "ORDER BY project_id, name, version DESC LIMIT 1 BY project_id, name"


@dataclass(frozen=True)
class DefinitionSet:
    """The newest version of each definition and classifier, and the last row of each project."""

    definitions: Sequence[EventDefinition] = ()
    classifiers: Sequence[ClassifierRow] = ()
    projects: Sequence[Project] = ()


class DefinitionRepository(Repository):
    """Reads of definitions, classifiers and settings; writes of classifiers."""

    def __init__(self, store: Store, clock: HybridClock | None = None) -> None:
        super().__init__(store, clock)
        self._registry = Registry(store, self._clock)

    def revisions(self, *, with_labels: bool = False) -> tuple[int, ...]:
        """
        Return numbers of which one changes whenever the definition set does: a cheap query.

        With `with_labels` there is one for the labels too, which classifiers are trained on.

        There are several because writers have clocks of their own: a classifier may have a smaller revision than an
        earlier definition.
        """
        tables = TABLES + _LABELS if with_labels else TABLES
        questions = ", ".join(f"(SELECT max(revision) FROM {table}) AS {table}" for table in tables)
        [row] = self._store.rows(f"SELECT {questions}")
        return tuple(int(row[table]) for table in tables)

    def read(self) -> DefinitionSet:
        """Return the current definition set."""
        return DefinitionSet(self._registry.definitions(), self.classifiers(), self._registry.projects())

    def classifiers(self) -> list[ClassifierRow]:
        """Return the current classifier of every definition that has one, by project and name."""
        return self._read(ClassifierRow, "classifier_rows", _NEWEST)

    def classifier(self, project_id: str, name: str) -> ClassifierRow | None:
        """Return the current classifier of one definition, or None."""
        rest = "WHERE project_id = {project:String} AND name = {name:String} " + _NEWEST
        return self._first(ClassifierRow, "classifier_rows", rest, project=project_id, name=name)

    def save_classifier(self, classifier: ClassifierRow) -> ClassifierRow:
        """Store a classifier and return it as it is stored: with a revision after the whole definition set."""
        return self._save_one("classifier_rows", classifier, max(self.revisions()))
