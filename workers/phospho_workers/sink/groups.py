"""Insert groups: ranges of records of one topic that are inserted together."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property

from phospho_workers.runtime.records import Partition, Record
from phospho_workers.sink.intents import Intent


@dataclass(frozen=True, eq=False)
class OffsetRange:
    """Records of one partition, in order, and the bounds of the range, both included."""

    partition: Partition
    first_offset: int
    last_offset: int
    records: tuple[Record, ...]


@dataclass(frozen=True, eq=False)
class InsertGroup:
    """
    Ranges of one topic, sorted by partition, for one insert.

    One insert for 8 partitions together costs ClickHouse a third of one for each of them (make bench).
    """

    topic: str
    ranges: tuple[OffsetRange, ...]

    @cached_property
    def records(self) -> list[Record]:
        return [record for offset_range in self.ranges for record in offset_range.records]

    @cached_property
    def id(self) -> str:
        """An id that depends on the bounds of the ranges alone."""
        bounds = ",".join(f"{r.partition[1]}:{r.first_offset}-{r.last_offset}" for r in self.ranges)
        return hashlib.blake2b(bounds.encode(), digest_size=12).hexdigest()

    @property
    def token_prefix(self) -> str:
        """The topic and id: the start of the deduplication tokens of the group's inserts."""
        return f"{self.topic}:{self.id}"

    def intents(self) -> list[tuple[Partition, int, Intent]]:
        """Return partition, first offset and intent of each range."""
        size = len(self.ranges)
        return [(r.partition, r.first_offset, Intent(r.last_offset, self.id, size)) for r in self.ranges]
