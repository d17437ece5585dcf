"""Input and output of a stage: records of a topic in, messages for topics out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from phospho_schemas.messages import DeadLetterReason
from phospho_schemas.topics import Keyed, Topic

Partition = tuple[str, int]
"""A topic's name and the number of one of its partitions."""


class Record(NamedTuple):
    """A message with its position. Outside Kafka the partition is -1 and the offset is the revision of arrival."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes
    value: bytes
    headers: tuple[tuple[str, bytes], ...] = ()


class Rejected(Exception):
    """A record that can't be processed and becomes a dead letter: `reason` is a code, `detail` is for a person."""

    def __init__(self, reason: DeadLetterReason, detail: str) -> None:
        super().__init__(detail)
        self.reason: DeadLetterReason = reason
        self.detail = detail


@dataclass
class StageOutput:
    """The messages that a stage made of a batch, by topic, and the number of rejected records."""

    messages: dict[str, list[Keyed]] = field(default_factory=dict)
    # By reason, and by the partition of the record.
    dead_letters: Counter[str] = field(default_factory=Counter)
    rejected: Counter[Partition] = field(default_factory=Counter)

    def add(self, topic: Topic, message: Keyed) -> None:
        """Add a message. Raises Rejected where it is larger than its topic takes."""
        if not topic.fits(*message):
            raise Rejected("too_large", f"its message for {topic.name} takes {len(message.value)} bytes")
        self.messages.setdefault(topic.name, []).append(message)


class Stage(Protocol):
    """
    A step of the pipeline: pure, batch-shaped, the same in one process and on Kafka.

    It returns the same output for the same records, in any split into batches. It blocks for as long as it
    computes. A record that it can't read becomes a dead letter. It raises only for its own faults.
    """

    name: str

    def __call__(self, batch: Sequence[Record]) -> StageOutput: ...
