"""What detection is told: definitions, the heads that were learnt for them, and what each project switches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from phospho_schemas.ids import HybridClock
from phospho_schemas.messages import EventDefinition, HeadRow, Project
from phospho_store.registry.registry import Registry
from phospho_store.rows import json_lines
from phospho_store.store import Store

# Of each of these detection reads the latest row; a change of any of them is a change of what it finds.
TABLES = ("definition_rows", "head_rows", "project_rows")
_LABELS = ("label_rows",)


@dataclass(frozen=True)
class Instructions:
    """What holds at one moment: of each definition and head the greatest version, of each project the last row."""

    definitions: Sequence[EventDefinition] = ()
    heads: Sequence[HeadRow] = ()
    projects: Sequence[Project] = ()


class InstructionBook:
    """Reads of everything that detection is told, and the writes of heads. Blocking; raises what the store raises."""

    def __init__(self, store: Store, clock: HybridClock | None = None) -> None:
        self._store = store
        self._clock = clock or HybridClock()
        self._registry = Registry(store, self._clock)

    def revisions(self, *, with_labels: bool = False) -> tuple[int, ...]:
        """
        Return numbers of which one changes whenever something of the instructions does: a cheap question.

        `with_labels` has one for the labels as well, which heads are learnt from.

        They are several because writers have clocks of their own: a head that comes after a definition may have the
        smaller revision.
        """
        tables = TABLES + _LABELS if with_labels else TABLES
        questions = ", ".join(f"(SELECT max(revision) FROM {table}) AS {table}" for table in tables)
        [row] = self._store.rows(f"SELECT {questions}")
        return tuple(int(row[table]) for table in tables)

    def read(self) -> Instructions:
        """Return the instructions of now."""
        return Instructions(self._registry.definitions(), self.heads(), self._registry.projects())

    def heads(self) -> list[HeadRow]:
        """Return the current head of every definition that has one, by project and name."""
        return self._heads("")

    def head(self, project_id: str, name: str) -> HeadRow | None:
        """Return the current head of one definition, or None."""
        return next(
            iter(self._heads("WHERE project_id = {project:String} AND name = {name:String}", project_id, name)), None
        )

    def save_head(self, head: HeadRow) -> HeadRow:
        """Store a head and return it as it is stored: with a revision after everything that detection is told."""
        self._clock.observe(max(self.revisions()))
        saved = head.model_copy(update={"revision": self._clock.next()})
        self._store.insert("head_rows", json_lines([saved]))
        return saved

    def _heads(self, condition: str, project_id: str = "", name: str = "") -> list[HeadRow]:
        rows = self._store.rows(
            f"SELECT * EXCEPT schema_version FROM head_rows FINAL {condition}"
            " ORDER BY project_id, name, version DESC LIMIT 1 BY project_id, name",
            {"project": project_id, "name": name},
        )
        return [HeadRow.model_validate(row | {"created_at": f"{row['created_at']}Z"}) for row in rows]
