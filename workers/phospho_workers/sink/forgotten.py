"""Rows of what was forgotten, which the sink doesn't store."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from phospho_store.forgetting.tombstones import Tombstones
from phospho_workers.runtime.records import Record


def without_forgotten(tombstones: Tombstones, batches: Sequence[Sequence[Record]]) -> list[Sequence[Record]]:
    """
    Return batches of records without the rows that were forgotten.

    What is stored of their tasks is deleted first, and their tombstones are extended to those. Raises StoreUnavailable.
    """
    rows = [[tombstones.decoded(record.value) for record in records] for records in batches]
    tombstones.extend(row for of_batch in rows for row in of_batch if row is not None)
    return [
        [record for record, row in zip(records, of_batch, strict=True) if row is None or not tombstones.covers(row)]
        for records, of_batch in zip(batches, rows, strict=True)
    ]


def delete_forgotten(tombstones: Tombstones, records: Iterable[Record]) -> None:
    """
    Delete the rows among stored ones that were forgotten while they were inserted. Raises StoreUnavailable.

    Call it where a refresh after the insert found new tombstones. Those that come later find the rows in the store.
    """
    rows = (tombstones.decoded(record.value) for record in records)
    tombstones.extend(row for row in rows if row is not None)
