"""Spans as the rest of this package reads them, whatever encoding they came in."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, NamedTuple

Attributes = dict[str, Any]

# OpenTelemetry's own default is 128 of each; OpenInference allows 10,000 attributes.
_MAX_PARTS = 20_000


class BadSpan(Exception):
    """One span that can't be read. The message says why, and holds nothing of the span itself."""


class MalformedExport(Exception):
    """A body that can't be split into spans."""


class TooManySpans(Exception):
    """An export above the limit on spans."""


class SpanEvent(NamedTuple):
    """An event of a span."""

    name: str
    attributes: Attributes


class Identity(NamedTuple):
    """The session and the user of a span, empty where it names none."""

    session_id: str
    user_id: str


class Resource(NamedTuple):
    """The part of a span that its resource gives: identity, the app's version, and attributes to show."""

    identity: Identity
    version_id: str
    shown: Attributes


class Origin(NamedTuple):
    """The resource and the library (the scope) that a span comes from."""

    resource: Resource
    scope: str


class Span(NamedTuple):
    """
    One span. Ids are lower-case hexadecimal, `parent_id` is empty for a root; times are Unix nanoseconds, 0 where
    they are not known.
    """

    trace_id: str
    span_id: str
    parent_id: str
    name: str
    start_ns: int
    end_ns: int
    attributes: Attributes
    events: list[SpanEvent]
    is_error: bool
    status_message: str
    origin: Origin

    @property
    def latency_ms(self) -> float | None:
        """Its duration; None if its times are missing or out of order."""
        if not 0 < self.start_ns <= self.end_ns:
            return None
        return round((self.end_ns - self.start_ns) / 1e6, 3)


@dataclass
class Export:
    """The spans of one request, and the number of unreadable ones by reason."""

    spans: list[Span] = field(default_factory=list)
    rejected: Counter[str] = field(default_factory=Counter)

    @property
    def count(self) -> int:
        """The number of spans, readable or not."""
        return len(self.spans) + self.rejected.total()


def check_size(count: int, parts: str) -> None:
    """Raise BadSpan for more attributes or events than any instrumentation writes."""
    if count > _MAX_PARTS:
        raise BadSpan(f"there are more than {_MAX_PARTS} {parts}")


def checked_id(digits: str, length: int, name: str) -> str:
    """Return an id in hexadecimal digits. Raises BadSpan for one of a wrong length, or of zeros alone."""
    if len(digits) != length:
        raise BadSpan(f"{name} has not the {length // 2} bytes of one")
    if digits.count("0") == length:
        raise BadSpan(f"{name} is all zeros")
    return digits
