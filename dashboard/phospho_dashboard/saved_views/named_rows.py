"""The rules of what people save under a name, which are the same for views of lists and for queries."""

from __future__ import annotations

from typing import Generic

from phospho_schemas.rows.saved import MAX_NAME_CHARACTERS
from phospho_store.registry.saved import Saved, SavedRepository
from phospho_web.problems import Problem

MAX_ROWS = 200


class NamedRows(Generic[Saved]):
    """Read, save and remove rows. Blocking; raises Problem 404, 409 and 422, and what the store raises."""

    def __init__(self, repository: SavedRepository[Saved], noun: str, plural: str) -> None:
        self._repository: SavedRepository[Saved] = repository
        self._noun = noun
        self._plural = plural

    def rows(self, project_id: str) -> list[Saved]:
        """Return the rows of a project in the order of their names."""
        return self._repository.rows(project_id)

    def row(self, project_id: str, saved_id: str) -> Saved:
        """Return one row."""
        row = next((row for row in self.rows(project_id) if row.saved_id == saved_id), None)
        if row is None:
            message = f"there is no saved {self._noun} {saved_id[:64]!r}"
            raise Problem(404, f"unknown_{self._noun}", message, "it may have been removed")
        return row

    def check_name(self, name: str) -> None:
        """Raise Problem where no row can be saved under a name."""
        if not name or len(name) > MAX_NAME_CHARACTERS:
            hint = f"name the {self._noun}"
            raise Problem(422, "invalid_name", f"a name has 1 to {MAX_NAME_CHARACTERS} characters", hint)

    def save(self, row: Saved) -> Saved:
        """Save a row in place of the one that has its name."""
        others = [other for other in self.rows(row.project_id) if other.saved_id != row.saved_id]
        if len(others) >= MAX_ROWS:
            message = f"a project has {MAX_ROWS} saved {self._plural} at most"
            raise Problem(409, f"too_many_{self._plural}", message, "remove one")
        return self._repository.save(row)

    def remove(self, project_id: str, saved_id: str) -> Saved:
        """Remove a row, and return it."""
        return self._repository.save(self.row(project_id, saved_id).model_copy(update={"is_deleted": True}))
