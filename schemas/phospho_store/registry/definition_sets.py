"""The definitions, classifiers, students, theme models and settings that detection works with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from phospho_schemas.ids import HybridClock
from phospho_schemas.messages import EventDefinition, Project
from phospho_schemas.rows.jobs import ClassifierRow, StudentRow
from phospho_schemas.rows.themes import ThemeModelRow
from phospho_store.registry.registry import Registry
from phospho_store.repository import Repository
from phospho_store.store import Store

# Detection reads the latest rows of these; a change of any of them changes the events that it finds.
TABLES = ("definition_rows", "classifier_rows", "project_rows", "student_rows", "theme_model_rows")
_LABELS = ("label_rows",)
_NEWEST = "ORDER BY project_id, name, version DESC LIMIT 1 BY project_id, name"

_Model = TypeVar("_Model", StudentRow, ThemeModelRow)


@dataclass(frozen=True)
class DefinitionSet:
    """The newest version of each definition, classifier, student and theme model, and the last row of each project."""

    definitions: Sequence[EventDefinition] = ()
    classifiers: Sequence[ClassifierRow] = ()
    projects: Sequence[Project] = ()
    students: Sequence[StudentRow] = ()
    theme_models: Sequence[ThemeModelRow] = ()


class _ProjectModels(Repository, Generic[_Model]):
    """Reads of a table with one row a project. A row has up to half a megabyte, so it is read once."""

    def __init__(self, store: Store, model: type[_Model], table: str) -> None:
        super().__init__(store)
        self._model: type[_Model] = model
        self._table = table
        self._rows: dict[str, _Model] = {}

    def current(self) -> list[_Model]:
        """Return the row of every project that has one, by project."""
        revision_rows = self._store.rows(
            f"SELECT project_id, max(revision) AS revision FROM {self._table} GROUP BY project_id"
        )
        revisions = {row["project_id"]: int(row["revision"]) for row in revision_rows}
        rows = {name: row for name, row in self._rows.items() if row.revision == revisions.get(name)}
        new = sorted(revisions.keys() - rows.keys())
        if new:
            rest = "WHERE project_id IN {projects:Array(String)} ORDER BY project_id"
            rows |= {row.project_id: row for row in self._read(self._model, self._table, rest, projects=new)}
        self._rows = rows
        return [rows[name] for name in sorted(rows)]


class DefinitionRepository(Repository):
    """Reads of definitions, settings and what was learnt; writes of what is learnt."""

    def __init__(self, store: Store, clock: HybridClock | None = None) -> None:
        super().__init__(store, clock)
        self._registry = Registry(store, self._clock)
        self._theme_models = _ProjectModels(store, ThemeModelRow, "theme_model_rows")
        self._students = _ProjectModels(store, StudentRow, "student_rows")

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
        return DefinitionSet(
            self._registry.definitions(),
            self.classifiers(),
            self._registry.projects(),
            self.students(),
            theme_models=self._theme_models.current(),
        )

    def classifiers(self) -> list[ClassifierRow]:
        """Return the current classifier of every definition that has one, by project and name."""
        return self._read(ClassifierRow, "classifier_rows", _NEWEST)

    def classifier(self, project_id: str, name: str) -> ClassifierRow | None:
        """Return the current classifier of one definition, or None."""
        rest = "WHERE project_id = {project:String} AND name = {name:String} " + _NEWEST
        return self._first(ClassifierRow, "classifier_rows", rest, project=project_id, name=name)

    def students(self) -> list[StudentRow]:
        """Return the student of every project that has one, by project."""
        return self._students.current()

    def save_student(self, student: StudentRow) -> StudentRow:
        """Store a student and return it as it is stored: with a revision after the whole definition set."""
        return self._save_one("student_rows", student, max(self.revisions()))

    def save_classifier(self, classifier: ClassifierRow) -> ClassifierRow:
        """Store a classifier and return it as it is stored: with a revision after the whole definition set."""
        return self._save_one("classifier_rows", classifier, max(self.revisions()))
