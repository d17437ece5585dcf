"""The limit on dead letters in a row, which stops a worker that rejects everything."""

from __future__ import annotations

from collections.abc import Iterable

_METADATA_PREFIX = "phospho-dead-letters "


class TooManyDeadLetters(Exception):
    """So many records in a row were rejected that the fault is more likely the worker's: stop, and keep them."""


class DeadLetterLimit:
    """
    Counts rejected records in a row, by batches: a batch with one good record ends the row.

    Commits carry the count as metadata. So a worker that is restarted again and again does not send a topic to the
    dead letters piece by piece.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._in_a_row = 0

    def check(self, records: int, rejected: int) -> None:
        """Count a batch. Raises TooManyDeadLetters once the row is longer than the limit."""
        self._in_a_row = self._in_a_row + rejected if rejected >= records else 0
        if self._in_a_row > self._limit:
            raise TooManyDeadLetters(
                f"{self._in_a_row} records in a row were rejected; the limit is {self._limit}. Nothing of this batch"
                " was committed. Look at the last dead letters. To continue regardless, start the worker once with"
                " PHOSPHO_MAX_DEAD_LETTERS_IN_A_ROW above that number."
            )

    def metadata(self) -> str:
        """Return the metadata of the next commit."""
        return f"{_METADATA_PREFIX}{self._in_a_row}" if self._in_a_row else ""

    def resume(self, metadata: Iterable[str]) -> None:
        """Continue the longest row in the metadata of an assignment's commits."""
        counts = [text.removeprefix(_METADATA_PREFIX) for text in metadata if text.startswith(_METADATA_PREFIX)]
        self._in_a_row = max((int(count) for count in counts if count.isdecimal()), default=0)
