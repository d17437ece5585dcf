"""The task of one stream, and the receiver of its chunks."""

from __future__ import annotations

from typing import Any, Callable, Protocol

from .._content.streamed_answer import StreamedAnswer
from .._content.task_content import LogCall

__all__ = ["ChunkReceiver", "Stop", "StreamLog"]

Stop = Callable[[Any], bool]


class ChunkReceiver(Protocol):
    """Adds the chunks of a stream to its task. No method raises."""

    def add_chunk(self, answer: StreamedAnswer, chunk: Any) -> None: ...

    def finish_chunks(self, answer: StreamedAnswer, error: BaseException | None, last: Any) -> None: ...

    def count_error(self, source: str, error: BaseException) -> None: ...


class StreamLog:
    """
    The task of one stream: begun by its first chunk, sent when the stream ends, breaks or is dropped.

    No method raises: failures are counted, and the stream goes on.
    """

    def __init__(self, receiver: ChunkReceiver, call: LogCall, stop: Stop | None = None) -> None:
        self._receiver = receiver
        self._answer = StreamedAnswer(call)
        self._stop = stop
        self._is_finished = False
        self._earlier: StreamLog | None = None
        # Set while the app waits for the next chunk.
        self.is_reading = False

    def follow(self, earlier: StreamLog) -> None:
        """Pass everything on to the log that the same stream had before."""
        self._earlier = earlier

    def add(self, chunk: Any) -> None:
        """Add one chunk. The chunk for which `stop` returns true ends the task and is not part of it."""
        if self._earlier is not None:
            self._earlier.add(chunk)
        if self._is_finished:
            return
        if self._is_last(chunk):
            self.finish(last=chunk)
            return
        self._receiver.add_chunk(self._answer, chunk)

    def finish(self, error: BaseException | None = None, last: Any = None) -> None:
        """Send the task as it is now. *last* is not part of it, but may carry its token counts. Works once."""
        if self._earlier is not None:
            self._earlier.finish(error, last)
        if not self._is_finished:
            self._is_finished = True
            self._receiver.finish_chunks(self._answer, error, last)

    def _is_last(self, chunk: Any) -> bool:
        try:
            return self._stop is not None and bool(self._stop(chunk))
        except Exception as error:  # the app's function
            self._receiver.count_error("stop", error)
            return False
