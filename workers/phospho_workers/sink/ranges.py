"""Which records are inserted together: ranges of one partition, and the ranges that a predecessor began."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from phospho_workers.runtime.records import Record

_VERSION = "phospho-intent-1"

Place = tuple[str, int]


class UnknownIntent(Exception):
    """The metadata of a commit that another version of the sink wrote: a person must look, nothing is guessed."""


@dataclass(frozen=True, eq=False)
class Range:
    """Records of one partition from offset `lo` to `hi`, both included, in order; what is inserted at once."""

    topic: str
    partition: int
    lo: int
    hi: int
    records: tuple[Record, ...]

    @property
    def place(self) -> Place:
        return self.topic, self.partition

    def intent(self) -> str:
        """Return what is committed before the insert: the range that is about to be inserted."""
        return f"{_VERSION} {self.lo} {self.hi}"

    def token(self) -> str:
        return f"{self.topic}:{self.partition}:{self.lo}-{self.hi}"


def parse_intent(metadata: str) -> int | None:
    """Return the last offset of the range that was begun; None where none was. Raises UnknownIntent."""
    if not metadata:
        return None
    version, _, offsets = metadata.partition(" ")
    if version != _VERSION:
        raise UnknownIntent(f"the committed offset carries metadata of an unknown kind: {metadata[:100]!r}")
    return int(offsets.split()[1])


class RangePlanner:
    """
    Splits batches into ranges.

    A partition whose predecessor began a range gets exactly that range first, however the batches are cut: records
    up to its last offset wait here until it is complete. Any other batch is one range a partition.
    """

    def __init__(self) -> None:
        self._begun: dict[Place, int] = {}
        self._waiting: dict[Place, list[Record]] = {}

    def assign(self, place: Place, begun_hi: int | None) -> None:
        """Take over a partition; `begun_hi` is the last offset of the range that its predecessor began."""
        self.revoke(place)
        if begun_hi is not None:
            self._begun[place] = begun_hi

    def revoke(self, place: Place) -> None:
        """Forget a partition and what waits for it."""
        self._begun.pop(place, None)
        self._waiting.pop(place, None)

    def plan(self, records: Sequence[Record]) -> list[Range]:
        """Return the ranges that can be inserted now."""
        by_place: dict[Place, list[Record]] = {}
        for record in records:
            by_place.setdefault((record.topic, record.partition), []).append(record)
        return [planned for place, batch in by_place.items() for planned in self._plan(place, batch)]

    def _plan(self, place: Place, batch: list[Record]) -> Iterator[Range]:
        batch = self._waiting.pop(place, []) + batch
        begun_hi = self._begun.get(place)
        if begun_hi is not None:
            if batch[-1].offset < begun_hi:
                self._waiting[place] = batch
                return
            del self._begun[place]
            head = [record for record in batch if record.offset <= begun_hi]
            batch = batch[len(head) :]
            if head:
                # The offset of the intent, not of the last record that is there: a topic may have gaps.
                yield _range(place, head, begun_hi)
        if batch:
            yield _range(place, batch, batch[-1].offset)


def _range(place: Place, records: list[Record], hi: int) -> Range:
    return Range(*place, records[0].offset, hi, tuple(records))
