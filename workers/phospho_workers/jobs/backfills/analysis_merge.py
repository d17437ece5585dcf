"""What was found before, written again with the events of one definition as they are found now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Row = Mapping[str, Any]
# Half of the counter of a revision: 0.5 ms.
_ROOM = 1 << 15


def is_older(known: Row | None, revision: int, definitions_revision: int) -> bool:
    """Tell whether a row is missing, or of the same revision by earlier instructions."""
    if known is None:
        return True
    return bool(known["revision"] == revision and known["definitions_revision"] < definitions_revision)


def backfilled_revision(known: Row | None, definitions_revision: int) -> int:
    """
    Return the `definitions_revision` of a row that is written beside what was `known`, under instructions of that one.

    Less than theirs, greater than that of earlier ones (revisions hold milliseconds, and a count below `_ROOM`), and
    greater than what was known: of two processes the one that has seen less never holds against the other.
    """
    least = max(0, definitions_revision - _ROOM)
    if known is None:
        return least
    return min(max(int(known["definitions_revision"]) + 1, least), definitions_revision - 1)


def rewritten(
    known: Row, now: Row, name: str, fields: Sequence[str], definitions_revision: int
) -> dict[str, Any] | None:
    """
    Return `known` with what the lists of `fields` have of one definition replaced by what `now` has.

    None where that is the same: there is nothing to write.
    """
    if all(_says_same(known[field], now[field], name) for field in fields):
        return None
    merged = {field: _merged(known[field], now[field], name) for field in fields}
    return {**known, **merged, "definitions_revision": backfilled_revision(known, definitions_revision)}


def _says_same(known: Sequence[Row], now: Sequence[Row], name: str) -> bool:
    """Tell whether both have the same of a definition; what is stored has more fields than what is found."""
    stored, found = ([one for one in rows if one["name"] == name] for rows in (known, now))
    return len(stored) == len(found) and all(new.items() <= old.items() for old, new in zip(stored, found, strict=True))


def _merged(known: Sequence[Row], now: Sequence[Row], name: str) -> list[Row]:
    others = [one for one in known if one["name"] != name]
    return sorted([*others, *(one for one in now if one["name"] == name)], key=lambda one: str(one["name"]))
