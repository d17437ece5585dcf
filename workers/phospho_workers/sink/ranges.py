"""Which records are inserted together: ranges of partitions, in groups, and the groups that a predecessor began."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from phospho_workers.runtime.records import Record
from phospho_workers.sink.tables import MAX_INSERT_BYTES

_VERSION = "phospho-intent-1"

# What may wait for the other ranges of a group: some batches.
_MAX_WAITING_RECORDS = 200_000
_MAX_WAITING_BYTES = 256_000_000

Place = tuple[str, int]


class UnknownIntent(Exception):
    """The metadata of a commit that another version of the sink wrote: a person must look, nothing is guessed."""


@dataclass(frozen=True)
class Begun:
    """A range that was begun: its last offset, the group in which it is inserted, and how many ranges that has."""

    hi: int
    group: str
    size: int


@dataclass(frozen=True, eq=False)
class Range:
    """Records of one partition from offset `lo` to `hi`, both included, in order."""

    place: Place
    lo: int
    hi: int
    records: tuple[Record, ...]


@dataclass(frozen=True, eq=False)
class Group:
    """
    Ranges of one topic, by partition: one insert.

    One insert for the partitions together costs ClickHouse a third of one for each of them (make bench; 8 partitions).
    """

    topic: str
    ranges: tuple[Range, ...]

    @cached_property
    def records(self) -> list[Record]:
        return [record for planned in self.ranges for record in planned.records]

    @cached_property
    def name(self) -> str:
        """Return what the group is known by: a function of the bounds of its ranges."""
        bounds = ",".join(f"{r.place[1]}:{r.lo}-{r.hi}" for r in self.ranges)
        return f"{self.topic}:" + hashlib.blake2b(bounds.encode(), digest_size=12).hexdigest()

    def intents(self) -> list[tuple[Place, int, str]]:
        """Return place, offset and metadata of the commits that say, before the insert, what will be inserted."""
        return [
            (r.place, r.lo, f"{_VERSION} {r.hi} {self.name.rpartition(':')[2]} {len(self.ranges)}") for r in self.ranges
        ]


def parse_intent(metadata: str) -> Begun | None:
    """Return the range that a commit's metadata says was begun; None where none was. Raises UnknownIntent."""
    if not metadata:
        return None
    match metadata.split(" "):
        case [version, hi, group, size] if version == _VERSION and hi.isdecimal() and size.isdecimal():
            return Begun(int(hi), group, int(size))
    raise UnknownIntent(f"the committed offset carries metadata of an unknown kind: {metadata[:100]!r}")


class RangePlanner:
    """
    Sorts records into groups.

    What a predecessor began comes first and exactly as it was, however the batches are cut: records wait here until
    every range of its group is complete. Where the partitions of a group have gone to several consumers, each does
    its own ranges by themselves; ClickHouse then holds some rows twice, and its tables show them once.
    """

    def __init__(self, max_group_bytes: int = MAX_INSERT_BYTES) -> None:
        self._max_group_bytes = max_group_bytes
        self._begun: dict[Place, Begun] = {}
        self._waiting: dict[Place, list[Record]] = {}

    def assign(self, places: Mapping[Place, Begun | None]) -> None:
        """Take over partitions, all of an assignment at once, with what their predecessors began."""
        sizes = Counter(begun.group for begun in places.values() if begun is not None)
        for place, begun in places.items():
            self.revoke(place)
            if begun is not None:
                is_whole = sizes[begun.group] == begun.size
                self._begun[place] = begun if is_whole else Begun(begun.hi, f"{begun.group}/{place}", 1)

    def revoke(self, place: Place) -> None:
        """Forget a partition and what waits for it."""
        self._begun.pop(place, None)
        self._waiting.pop(place, None)

    def add(self, records: Sequence[Record]) -> None:
        """Take records, those of a partition in order."""
        for record in records:
            self._waiting.setdefault((record.topic, record.partition), []).append(record)
        if self._begun and self._is_too_much_waiting():
            # A range of some group does not come to its end: the others go on by themselves.
            self._begun = {place: Begun(b.hi, f"{b.group}/{place}", 1) for place, b in self._begun.items()}

    def _is_too_much_waiting(self) -> bool:
        records = sum(map(len, self._waiting.values()))
        size_bytes = sum(len(record.value) for waiting in self._waiting.values() for record in waiting)
        return records > _MAX_WAITING_RECORDS or size_bytes > _MAX_WAITING_BYTES

    def drop(self) -> dict[Place, int]:
        """Forget what waits, and return where it begins in each partition."""
        first = {place: records[0].offset for place, records in self._waiting.items()}
        self._waiting.clear()
        return first

    def waves(self) -> Iterator[list[Group]]:
        """Yield groups that can be inserted now, each wave after the one before is committed."""
        if begun := self._complete_groups():
            yield begun
        while free := self._free_groups():
            yield free

    def _complete_groups(self) -> list[Group]:
        members: dict[str, list[Place]] = {}
        for place, begun in self._begun.items():
            members.setdefault(begun.group, []).append(place)
        return [self._taken(places) for places in members.values() if all(map(self._is_complete, places))]

    def _is_complete(self, place: Place) -> bool:
        waiting = self._waiting.get(place, [])
        return bool(waiting) and waiting[-1].offset >= self._begun[place].hi

    def _taken(self, places: list[Place]) -> Group:
        """Take a complete group out of what waits. Its bounds are those of the intents: a topic may have gaps."""
        ranges = []
        for place in sorted(places):
            hi = self._begun.pop(place).hi
            waiting = self._waiting.pop(place)
            head = tuple(record for record in waiting if record.offset <= hi)
            if len(head) < len(waiting):
                self._waiting[place] = waiting[len(head) :]
            ranges.append(Range(place, head[0].offset if head else hi, hi, head))
        return Group(places[0][0], tuple(ranges))

    def _free_groups(self) -> list[Group]:
        """Take a group of each topic out of what waits; what one insert can't hold stays for the next wave."""
        by_topic: dict[str, list[Place]] = {}
        for place in sorted(place for place in self._waiting if place not in self._begun):
            by_topic.setdefault(place[0], []).append(place)
        return [Group(topic, tuple(self._within_bounds(places))) for topic, places in by_topic.items()]

    def _within_bounds(self, places: Sequence[Place]) -> Iterator[Range]:
        """Take the heads of partitions that fit one insert together, or one record that is larger than that."""
        left_bytes = self._max_group_bytes
        is_first = True
        for place in places:
            waiting = self._waiting[place]
            number = 0
            while number < len(waiting) and (is_first or len(waiting[number].value) < left_bytes):
                left_bytes -= len(waiting[number].value) + 1
                is_first = False
                number += 1
            if number == len(waiting):
                del self._waiting[place]
            else:
                self._waiting[place] = waiting[number:]
            if number:
                yield Range(place, waiting[0].offset, waiting[number - 1].offset, tuple(waiting[:number]))
