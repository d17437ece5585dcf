"""
The events of a file of logs.

Missing fields are derived from the file, so that a second import logs the same tasks. A task without an id gets one
from its record and the number of equal records before it. A task without a time gets the file's modification time.
"""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from phospho_schemas.ids import derived_uuid
from phospho_schemas.imports import IMPORT_KEY
from phospho_schemas.times import utc_now
from phospho_store.log_files.formats import FORMATS, recognised
from phospho_store.log_files.formats.values import unpacked
from phospho_store.log_files.mappings import without_input
from phospho_store.log_files.record_file import RecordFile
from phospho_store.log_files.records import BadLine, NoEvent, Record, base64_text, with_bytes_as
from phospho_store.log_files.task_times import TIME_FIELDS, TaskTimes

OWN_FORMAT = "phospho"
_MAX_TIME_S = 2**48 / 1000
# A double counts in ones up to here.
_EXACT_BELOW = 2**53
# Tells the id of a session from those of its tasks, which derive from the same record.
_SESSION_MARK = b"#session"
_TIME = "client_created_at"
_NUMBERS = frozenset({"tokens_in", "tokens_out", "latency_ms"})
_COLUMNS = frozenset(
    {
        "input", "output", "session_id", "task_id", "event_id", "user_id", "version_id", "client_created_at",
        "created_at", "raw_input", "raw_output", "raw_input_type_name", "raw_output_type_name", "flag",
        "system_prompt", "metadata",
    }
)  # fmt: skip


class LogLine(NamedTuple):
    """
    One event, encoded as a JSON object, and the task's id. `line` counts from 1.

    `derived` names the fields that its record lacked.
    """

    line: int
    task_id: str
    event: bytes
    derived: tuple[str, ...] = ()

    @property
    def is_undated(self) -> bool:
        """True if the event has the file's modification time."""
        return _TIME in self.derived


class SkippedLine(NamedTuple):
    """A record that is not a task in its format, such as the span of a tool."""

    line: int


class Occurrences:
    """
    Counts equal lines, in 64 MB for a file of any length.

    Lines share a counter where 24 bits of their checksum agree. Equal lines still get different numbers, and a file
    always the same ones, which is all that an id needs.
    """

    _BITS = 24

    def __init__(self) -> None:
        # A bytearray of zeros takes no memory until it is written to.
        self._counts = memoryview(bytearray(4 << self._BITS)).cast("I")

    def next(self, line: bytes) -> int:
        """Return how many lines before this one had its checksum."""
        slot = zlib.crc32(line) >> (32 - self._BITS)
        count = self._counts[slot]
        self._counts[slot] = count + 1
        return count


class LogFile:
    """
    A file of logs. Iterating reads it once, from the start, and raises `BrokenFile` where it is cut off or damaged.

    `mapping` names the file's own keys: `{"input": "question"}` takes `question` for `input`. `format_name` is one of
    FORMATS, `phospho`, or None to judge by the first record; with a mapping it is phospho's. `date_format` is
    strptime's, for times that are in no standard form. `import_id` marks the events as those of this import; it is no
    part of what their ids derive from.
    """

    def __init__(
        self,
        path: Path,
        mapping: Mapping[str, str] | None = None,
        format_name: str | None = None,
        date_format: str | None = None,
        *,
        import_id: str = "",
    ) -> None:
        self._mapping = dict(mapping or {})
        # The file's names for the fields of a task.
        self._fields = frozenset(self._mapping.get(name, name) for name in _COLUMNS | _NUMBERS) | {
            *self._mapping.values()
        }
        self.records = RecordFile(path, self._fields)
        self.format_name = OWN_FORMAT if self._mapping else format_name
        self._occurrences = Occurrences()
        self._times = TaskTimes(round(utc_now().timestamp() * 1000), date_format)
        # A field that no task has becomes metadata.
        self._mark = orjson.dumps({IMPORT_KEY: import_id})[:-1] + b"," if import_id else b"{"

    def __iter__(self) -> Iterator[LogLine | SkippedLine | BadLine]:
        for record in self.records:
            if isinstance(record, BadLine):
                yield record
                continue
            if self.format_name is None:
                self.format_name = recognised(record.fields) or OWN_FORMAT
            try:
                yield from self._lines(self._readable(record))
            except NoEvent as error:
                yield BadLine(record.line, str(error), error.options)

    def _readable(self, record: Record) -> Record:
        """Return a record with bytes as text in our fields, and in base64 in others. Raises NoEvent for no text."""
        if not record.binary:
            return record
        texts = record.binary & self._fields if self.format_name == OWN_FORMAT else record.binary
        fields = {
            name: with_bytes_as(partial(_text, name) if name in texts else base64_text, value)
            for name, value in record.fields.items()
        }
        return replace(record, fields=fields)

    def _lines(self, record: Record) -> Sequence[LogLine | SkippedLine]:
        if self.format_name != OWN_FORMAT:
            return self._converted(record)
        fields = _renamed(record.fields, self._mapping) if self._mapping else record.fields
        event = fields if record.is_json else _csv_event(fields, self._times)
        is_encoded = record.is_json and not self._mapping and not record.binary
        return [self._log_line(record, event, is_encoded=is_encoded)]

    def _converted(self, record: Record) -> Sequence[LogLine | SkippedLine]:
        source = FORMATS[self.format_name or OWN_FORMAT]
        if not source.recognises(record.fields):
            raise NoEvent(f"not a record of {source.label}, as those before", "; give --format")
        try:
            events = source.events_of(record.fields)
        except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
            # An export can hold anything anywhere: a record of an odd shape harms itself only.
            raise NoEvent(f"not the shape of a record of {source.label}: {error}") from None
        if len(events) > 1 and "session_id" not in events[0]:
            session_id = _derived_id(record.source + _SESSION_MARK, events[0], self._occurrences)
            events = [event | {"session_id": session_id} for event in events]
        lines = [self._log_line(record, event, is_encoded=False, turn=turn) for turn, event in enumerate(events)]
        return lines or [SkippedLine(record.line)]

    def _log_line(self, record: Record, event: dict[str, Any], *, is_encoded: bool, turn: int = 0) -> LogLine:
        """
        Return the event with what it lacked filled in; its source is sent as it is where nothing had to change.

        `turn` counts the events of a record. Their times are milliseconds apart, since sessions are in order of time.
        """
        if event.get("input") is None:
            raise without_input(record.fields, self._mapping)
        has_new_times = self._times.bring_into_form(event)
        if _unpack_metadata(event) or has_new_times:
            is_encoded = False
        self._times.check(event)
        task_id = event.get("task_id") or event.get("event_id")
        derived: tuple[str, ...] = ()
        if not task_id:
            task_id = event["task_id"] = _derived_id(record.source, event, self._occurrences)
            derived += ("task_id",)
        if event.get(_TIME) is None and event.get("created_at") is None:
            event[_TIME] = self.records.written_at_s
            derived += (_TIME,)
        if turn and isinstance(event.get(_TIME), int | float):
            event[_TIME] += turn / 1000
        if _drop_mark(event) or derived:
            is_encoded = False
        source = record.source if is_encoded else _encoded(event)
        return LogLine(record.line, str(task_id), self._mark + source[1:], derived)


def _drop_mark(event: dict[str, Any]) -> bool:
    """Remove the mark of an earlier import, which an export has. Returns whether the event changed."""
    metadata = event.get("metadata")
    marked = [holder for holder in (event, metadata) if isinstance(holder, dict) and IMPORT_KEY in holder]
    for holder in marked:
        del holder[IMPORT_KEY]
    return bool(marked)


def _unpack_metadata(event: dict[str, Any]) -> bool:
    """Replace metadata that is JSON in a text with its object. Returns whether the event changed."""
    if isinstance(event.get("metadata"), str) and isinstance(metadata := unpacked(event["metadata"]), dict):
        event["metadata"] = metadata
        return True
    return False


def _csv_event(cells: dict[str, str], times: TaskTimes) -> dict[str, Any]:
    """Return the event of a row's cells that are not empty: other columns than an event's become metadata."""
    event: dict[str, Any] = {name: text for name, text in cells.items() if name in _COLUMNS}
    metadata = _metadata(event.pop("metadata", "{}"))
    metadata |= {
        name: _number(text) if name in _NUMBERS else text for name, text in cells.items() if name not in _COLUMNS
    }
    for name in TIME_FIELDS:
        if name in event:
            event[name] = times.of_cell(name, event[name])
    return event | ({"metadata": metadata} if metadata else {})


def _metadata(text: str) -> dict[str, Any]:
    try:
        metadata = json.loads(text)
    except (ValueError, RecursionError):
        metadata = None
    if not isinstance(metadata, dict):
        raise NoEvent("the column metadata is not a JSON object")
    return metadata


def _text(name: str, content: bytes) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise NoEvent(f"{name!r} holds bytes that are no UTF-8 text") from None


def _number(text: str) -> float | str:
    try:
        number = float(text)
    except ValueError:
        return text
    if not math.isfinite(number):
        return text
    return int(number) if number.is_integer() and abs(number) < _EXACT_BELOW else number


def _encoded(event: dict[str, Any]) -> bytes:
    try:
        return orjson.dumps(event)
    except orjson.JSONEncodeError as error:
        raise NoEvent(f"can't be sent as JSON: {error}") from None


def _derived_id(line: bytes, event: dict[str, Any], occurrences: Occurrences) -> str:
    """Return an id that sorts by the task's time, where it has one that counts milliseconds in 48 bits."""
    created_at_s = event.get("client_created_at")
    time_ms = 0
    if isinstance(created_at_s, (int, float)) and 0 <= created_at_s < _MAX_TIME_S:
        time_ms = int(created_at_s * 1000)
    return derived_uuid(time_ms, line, str(occurrences.next(line)))


def _renamed(event: dict[str, Any], mapping: Mapping[str, str]) -> dict[str, Any]:
    """Return the event with the file's own names replaced; a mapped name wins over one that was there."""
    taken = {name: event[theirs] for name, theirs in mapping.items() if theirs in event}
    mapped = set(mapping.values())
    return {name: value for name, value in event.items() if name not in mapped} | taken
