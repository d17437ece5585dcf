"""
Planner of the sink's inserts: sorts records into groups, and those that a predecessor started come first.

A message is the very line of JSON that ClickHouse inserts into the table of its topic.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from phospho_schemas.topics import ANALYSES, DEAD_LETTER, FEEDBACK, PARTS, RECEIPTS, STEPS, TASKS, Topic
from phospho_workers.runtime.records import Partition, Record

STAGE = "sink"
TABLES: Mapping[Topic, str] = {
    TASKS: "task_rows",
    ANALYSES: "analysis_rows",
    FEEDBACK: "feedback_rows",
    STEPS: "step_rows",
    PARTS: "log_part_rows",
    RECEIPTS: "receipt_rows",
    DEAD_LETTER: "dead_letter_rows",
}
# Most bytes of lines in one insert, or one line that is larger. The embedded HTTP server takes bodies of 64 MiB, and
# the largest line of any topic has 48 MB.
MAX_INSERT_BYTES = 32_000_000

# Bounds of what waits for the other ranges of a started group: a few batches.
_MAX_WAITING_RECORDS = 200_000
_MAX_WAITING_BYTES = 256_000_000

_VERSION = "phospho-intent-1"


def table_of_topic(name: str) -> str:
    """Return the table of a topic, by the name that it has on its brokers."""
    return next(table for topic, table in TABLES.items() if topic.is_named(name))


class GroupPlanner:
    """
    Planner of the groups of one consumer.

    A group that a predecessor started is planned again exactly as it was, however the batches are cut: its records
    wait until every range is complete. Where the partitions of a group went to several consumers, each of them inserts
    its own ranges by themselves. ClickHouse then holds some rows twice, and its tables show them once.
    """

    def __init__(self, max_group_bytes: int = MAX_INSERT_BYTES) -> None:
        self._max_group_bytes = max_group_bytes
        self._intents: dict[Partition, Intent] = {}
        self._waiting: dict[Partition, list[Record]] = {}

    def assign(self, intents: Mapping[Partition, Intent | None]) -> None:
        """Take over all partitions of an assignment at once, with the intents of their last owners."""
        ranges_here = Counter(intent.group_id for intent in intents.values() if intent is not None)
        for partition, intent in intents.items():
            self.revoke(partition)
            if intent is not None:
                is_whole = ranges_here[intent.group_id] == intent.group_size
                self._intents[partition] = intent if is_whole else intent.without_group(partition)

    def revoke(self, partition: Partition) -> None:
        """Drop a partition with its waiting records."""
        self._intents.pop(partition, None)
        self._waiting.pop(partition, None)

    def add(self, records: Sequence[Record]) -> None:
        """Add records, those of a partition in order."""
        for record in records:
            self._waiting.setdefault((record.topic, record.partition), []).append(record)
        if self._intents and self._is_overfull():
            # The end of some started range does not come, so the others stop waiting for it.
            self._intents = {partition: intent.without_group(partition) for partition, intent in self._intents.items()}

    def drop_records(self) -> dict[Partition, int]:
        """Drop the waiting records and return the first offset of each partition."""
        first_offsets = {partition: records[0].offset for partition, records in self._waiting.items()}
        self._waiting.clear()
        return first_offsets

    def take_groups(self) -> Iterator[list[InsertGroup]]:
        """Yield lists of groups that can be inserted at once. Commit a list before taking the next."""
        if groups := self._take_started_groups():
            yield groups
        while groups := self._take_new_groups():
            yield groups

    def _is_overfull(self) -> bool:
        records = sum(map(len, self._waiting.values()))
        size_bytes = sum(len(record.value) for waiting in self._waiting.values() for record in waiting)
        return records > _MAX_WAITING_RECORDS or size_bytes > _MAX_WAITING_BYTES

    def _take_started_groups(self) -> list[InsertGroup]:
        partitions_of: dict[str, list[Partition]] = {}
        for partition, intent in self._intents.items():
            partitions_of.setdefault(intent.group_id, []).append(partition)
        complete = [partitions for partitions in partitions_of.values() if all(map(self._is_complete, partitions))]
        return [self._take_started_group(sorted(partitions)) for partitions in complete]

    def _is_complete(self, partition: Partition) -> bool:
        waiting = self._waiting.get(partition, [])
        return bool(waiting) and waiting[-1].offset >= self._intents[partition].last_offset

    def _take_started_group(self, partitions: Sequence[Partition]) -> InsertGroup:
        """Take a complete group. Its bounds are those of the intents, since a topic may have gaps."""
        ranges = []
        for partition in partitions:
            last_offset = self._intents.pop(partition).last_offset
            waiting = self._waiting[partition]
            records = self._take(partition, sum(record.offset <= last_offset for record in waiting))
            first_offset = records[0].offset if records else last_offset
            ranges.append(OffsetRange(partition, first_offset, last_offset, records))
        return InsertGroup(partitions[0][0], tuple(ranges))

    def _take_new_groups(self) -> list[InsertGroup]:
        """Take a group of each topic, bounded in bytes; the rest stays for the next groups."""
        partitions_of: dict[str, list[Partition]] = {}
        for partition in sorted(self._waiting.keys() - self._intents.keys()):
            partitions_of.setdefault(partition[0], []).append(partition)
        return [InsertGroup(topic, tuple(self._take_ranges(parts))) for topic, parts in partitions_of.items()]

    def _take_ranges(self, partitions: Sequence[Partition]) -> Iterator[OffsetRange]:
        """Take the first records of partitions that fit one insert together, or one record that is larger."""
        left_bytes = self._max_group_bytes
        is_empty = True
        for partition in partitions:
            number = 0
            for record in self._waiting[partition]:
                if not is_empty and len(record.value) >= left_bytes:
                    break
                left_bytes -= len(record.value) + 1
                is_empty = False
                number += 1
            if records := self._take(partition, number):
                yield OffsetRange(partition, records[0].offset, records[-1].offset, records)

    def _take(self, partition: Partition, number: int) -> tuple[Record, ...]:
        """Take the first records of a partition."""
        waiting = self._waiting.pop(partition)
        if number < len(waiting):
            self._waiting[partition] = waiting[number:]
        return tuple(waiting[:number])


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
        """An id that depends on the topic and the bounds of the ranges alone."""
        bounds = ",".join(f"{r.partition[1]}:{r.first_offset}-{r.last_offset}" for r in self.ranges)
        return hashlib.blake2b(f"{self.topic} {bounds}".encode(), digest_size=12).hexdigest()

    @property
    def token_prefix(self) -> str:
        """The topic and id: the start of the deduplication tokens of the group's inserts."""
        return f"{self.topic}:{self.id}"

    def intents(self) -> list[tuple[Partition, int, Intent]]:
        """Return partition, first offset and intent of each range."""
        size = len(self.ranges)
        return [(r.partition, r.first_offset, Intent(r.last_offset, self.id, size)) for r in self.ranges]


class UnknownIntent(Exception):
    """A commit carries metadata that this version of the sink did not write. Nothing is guessed: the sink stops."""


@dataclass(frozen=True)
class Intent:
    """The last offset of a started range, the id of its group, and the number of ranges in the group."""

    last_offset: int
    group_id: str
    group_size: int

    @property
    def metadata(self) -> str:
        """The intent as metadata of a commit."""
        return f"{_VERSION} {self.last_offset} {self.group_id} {self.group_size}"

    def without_group(self, partition: Partition) -> Intent:
        """Return the intent of inserting the range by itself."""
        return Intent(self.last_offset, f"{self.group_id}/{partition}", 1)


def parse_intent(metadata: str) -> Intent | None:
    """Return the intent in the metadata of a commit; None where it is empty. Raises UnknownIntent."""
    if not metadata:
        return None
    match metadata.split(" "):
        case [version, last, group_id, size] if version == _VERSION and last.isdecimal() and size.isdecimal():
            return Intent(int(last), group_id, int(size))
    raise UnknownIntent(
        f"the committed offset carries metadata of an unknown kind: {metadata[:100]!r}. Run the version of phospho that"
        " wrote it, or reset the offsets of the consumer group"
    )
