"""Raw log: reads and checks the fields that a client and the gateway sent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from phospho_schemas.ids import broker_revision, is_project_id, newest_revision
from phospho_schemas.messages import SCHEMA_VERSION
from phospho_schemas.times import client_time, is_plausible, parsed_time, unix_s
from phospho_workers.runtime.records import Record, Rejected

MAX_ID_CHARACTERS = 512
_MAX_REVISION = 2**64 - 1


class RawLog:
    """
    A decoded raw log and its record.

    Every property and method raises Rejected for an invalid value.
    """

    __slots__ = ("fields", "record")

    def __init__(self, fields: Mapping[str, Any], record: Record) -> None:
        self.fields = fields
        self.record = record

    def check_version(self) -> None:
        """Raise Rejected for an unknown schema version; a missing one means version 1."""
        version = self.fields.get("schema_version", SCHEMA_VERSION)
        if version != SCHEMA_VERSION or isinstance(version, bool):
            raise Rejected("unknown_version", f"schema_version {version!r}: this reader knows {SCHEMA_VERSION}")

    @property
    def kind(self) -> Any:
        """`log`, `feedback`, or whatever the client sent."""
        return self.fields.get("kind", "log")

    @property
    def project_id(self) -> str:
        """The project; Rejected where it is missing or invalid."""
        project_id = self.fields.get("project_id")
        if not isinstance(project_id, str) or not is_project_id(project_id):
            raise Rejected("invalid_field", "project_id: 1 to 128 letters, digits, _, . or - are needed")
        return project_id

    def identifier(self, field: str) -> str:
        """Return an id as text; empty where it is missing or null. A number stands for its digits."""
        value = self.fields.get(field)
        if value is None:
            return ""
        if value.__class__ is str and len(value) <= MAX_ID_CHARACTERS:
            return str(value)
        if isinstance(value, bool) or not isinstance(value, str | int):
            raise Rejected("invalid_field", f"{field}: a string is needed, found {type(value).__name__}")
        text = str(value)
        if len(text) > MAX_ID_CHARACTERS:
            raise Rejected("invalid_field", f"{field}: at most {MAX_ID_CHARACTERS} characters, found {len(text)}")
        return text

    def text(self, field: str) -> str:
        """Return a text; empty for any other value."""
        return text_or_empty(self.fields.get(field))

    @property
    def flag(self) -> str:
        """`success`, `failure`, or empty."""
        value = self.fields.get("flag")
        if value in (None, ""):
            return ""
        if value not in ("success", "failure"):
            raise Rejected("invalid_field", f"flag: success or failure is needed, found {str(value)[:50]!r}")
        return str(value)

    @property
    def revision(self) -> int:
        """
        The gateway's revision, or one from the broker's clock where no gateway can have drawn it.

        A gateway's clock may be ahead of the broker's by any time, as after a step back of the machine's clock. Its
        revision is then no later than the time of arrival that it stamped beside it.
        """
        revision, timestamp_ms = self.fields.get("revision"), self.record.timestamp_ms
        if type(revision) is int and 0 < revision <= _MAX_REVISION and self._is_drawn(revision):
            return revision
        return broker_revision(timestamp_ms, self.record.offset)

    def _is_drawn(self, revision: int) -> bool:
        """Tell whether a gateway can have drawn a revision. Its own time is read only where the broker's is earlier."""
        timestamp_ms = self.record.timestamp_ms
        return (
            timestamp_ms <= 0
            or revision <= newest_revision(timestamp_ms)
            or revision <= newest_revision(max(timestamp_ms, self._stamped_ms))
        )

    @property
    def arrived_ms(self) -> int:
        """
        The time of arrival in Unix milliseconds: the gateway's, otherwise the broker's.

        A time that the broker's clock contradicts is ignored.
        """
        broker_ms, stamped_ms = max(self.record.timestamp_ms, 0), self._stamped_ms
        return stamped_ms if is_plausible(stamped_ms / 1000, broker_ms) else broker_ms

    @property
    def _stamped_ms(self) -> int:
        """The gateway's time of arrival in Unix milliseconds; 0 without one."""
        received_at = self.fields.get("received_at")
        seconds = _iso_s(received_at) if isinstance(received_at, str) else None
        return 0 if seconds is None else round(seconds * 1000)

    def created(self, arrived_ms: int) -> tuple[int, Any]:
        """
        Return the client's time in Unix milliseconds, and the original where it is implausible.

        It may be ISO 8601, or Unix seconds, milli-, micro- or nanoseconds. A time before 2000 or more than a day ahead
        of the arrival is replaced by the arrival, so that one bad clock does not stretch every chart.
        """
        original = self.fields.get("created_at") or self.fields.get("client_created_at")
        seconds = _text_s(original) if isinstance(original, str) else _number_s(original)
        if seconds is None or not is_plausible(seconds, arrived_ms):
            return arrived_ms, original
        return round(seconds * 1000), None


def text_or_empty(value: Any) -> str:
    """Return a text as it is; empty for any other value."""
    return value if isinstance(value, str) else ""


def _number_s(value: Any) -> float | None:
    return unix_s(float(value)) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _text_s(value: str) -> float | None:
    moment = client_time(value)
    return moment.timestamp() if moment else None


def _iso_s(value: str) -> float | None:
    moment = parsed_time(value)
    return moment.timestamp() if moment else None
