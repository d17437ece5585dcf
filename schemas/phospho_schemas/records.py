"""The messages that stages hand to each other: bytes with a key."""

from __future__ import annotations

from typing import NamedTuple


class Keyed(NamedTuple):
    """A message that is ready for a topic: the Kafka key, and one JSON object without a line break."""

    key: bytes
    value: bytes
