"""
Intents: before an insert, the sink commits which records the insert will hold.

The intent of a partition is the metadata of a commit at the first offset of the range. A successor reads it back and
repeats exactly that insert, whose rows ClickHouse then drops as duplicates.
"""

from __future__ import annotations

from dataclasses import dataclass

from phospho_workers.runtime.records import Partition

_VERSION = "phospho-intent-1"


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
