"""What was found before, written again with the events of one definition as they are found now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Row = Mapping[str, Any]


def is_older(known: Row | None, revision: int, definitions_revision: int) -> bool:
    """Tell whether a row is missing, or of the same revision by earlier instructions."""
    if known is None:
        return True
    return bool(known["revision"] == revision and known["definitions_revision"] < definitions_revision)


def rewritten(known: Row, now: Row, name: str, fields: Sequence[str], definitions_revision: int) -> dict[str, Any]:
    """
    Return `known` with what the lists of `fields` have of one definition replaced by what `now` has.

    Its `definitions_revision` is one less than that of the instructions it was made under: see backfills.
    """
    merged = {field: _merged(known[field], now[field], name) for field in fields}
    return {**known, **merged, "definitions_revision": definitions_revision - 1}


def _merged(known: Sequence[Row], now: Sequence[Row], name: str) -> list[Row]:
    others = [one for one in known if one["name"] != name]
    return sorted([*others, *(one for one in now if one["name"] == name)], key=lambda one: str(one["name"]))
