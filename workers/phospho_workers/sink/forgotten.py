"""Rows of what was forgotten, which the sink doesn't store."""

from __future__ import annotations

from collections.abc import Sequence

from phospho_store.forgetting.tombstones import Tombstones
from phospho_workers.runtime.records import Record


def kept_records(tombstones: Tombstones, records: Sequence[Record]) -> Sequence[Record]:
    """Return the records of rows that were not forgotten."""
    return [record for record in records if not tombstones.covers_line(record.value)] if tombstones else records
