"""A stored analysis with the events of one definition replaced by those that are found now. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Row = Mapping[str, Any]
# Half of the counter of a revision: 0.5 ms.
_COUNTER_ROOM = 1 << 15


def is_outdated(stored: Row | None, revision: int, definitions_revision: int) -> bool:
    """Tell whether a row is missing, or of the same revision under earlier definitions."""
    if stored is None:
        return True
    return bool(stored["revision"] == revision and stored["definitions_revision"] < definitions_revision)


def backfilled_revision(stored: Row | None, definitions_revision: int) -> int:
    """
    Return the `definitions_revision` of a backfilled row.

    It is less than that of the definitions, so that live detection under the same ones wins, and greater than that of
    earlier ones: revisions hold milliseconds, and a count below _COUNTER_ROOM. It is greater than that of the stored
    row as well: of two processes, the one that has read the older row never wins.
    """
    least = max(0, definitions_revision - _COUNTER_ROOM)
    if stored is None:
        return least
    return min(max(int(stored["definitions_revision"]) + 1, least), definitions_revision - 1)


def merged_row(
    stored: Row, detected: Row, *, name: str, fields: Sequence[str], definitions_revision: int
) -> dict[str, Any] | None:
    """
    Return `stored` with the items of one definition in the lists `fields` replaced by those of `detected`.

    None where they are the same: there is nothing to write.
    """
    if all(_has_same(stored[field], detected[field], name) for field in fields):
        return None
    merged = {field: _merged(stored[field], detected[field], name) for field in fields}
    return {**stored, **merged, "definitions_revision": backfilled_revision(stored, definitions_revision)}


def _has_same(stored: Sequence[Row], detected: Sequence[Row], name: str) -> bool:
    """Tell whether both have the same items of a definition; stored items have more fields than detected ones."""
    old, new = ([item for item in items if item["name"] == name] for items in (stored, detected))
    return len(old) == len(new) and all(
        new_item.items() <= old_item.items() for old_item, new_item in zip(old, new, strict=True)
    )


def _merged(stored: Sequence[Row], detected: Sequence[Row], name: str) -> list[Row]:
    others = [item for item in stored if item["name"] != name]
    own = [item for item in detected if item["name"] == name]
    return sorted([*others, *own], key=lambda item: str(item["name"]))
