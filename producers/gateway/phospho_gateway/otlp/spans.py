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
    """A body in which not even the spans can be told from each other."""


class TooManySpans(Exception):
    """An export above the bound on spans."""


class SpanEvent(NamedTuple):
    """Something that happened in a span."""

    name: str
    attributes: Attributes


class Identity(NamedTuple):
    """Whose a span is; empty where it does not say."""

    session_id: str
    user_id: str


class Resource(NamedTuple):
    """What a resource says of every span below it: whose it is, the app's version, and attributes to show."""

    identity: Identity
    version_id: str
    shown: Attributes


class Origin(NamedTuple):
    """What the spans of one scope have in common: their resource, and the name of their library."""

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
        """How long it took; None where its times don't say."""
        if not 0 < self.start_ns <= self.end_ns:
            return None
        return round((self.end_ns - self.start_ns) / 1e6, 3)


@dataclass
class Export:
    """What one request brought: the spans that could be read, and how often each reason not to was met."""

    spans: list[Span] = field(default_factory=list)
    rejected: Counter[str] = field(default_factory=Counter)

    @property
    def count(self) -> int:
        """How many spans there were, readable or not."""
        return len(self.spans) + self.rejected.total()


def check_size(count: int, what: str) -> None:
    """Raise BadSpan for more attributes or events than any instrumentation writes."""
    if count > _MAX_PARTS:
        raise BadSpan(f"there are more than {_MAX_PARTS} {what}")


def checked_id(digits: str, length: int, name: str) -> str:
    """Return an id in hexadecimal digits. Raises BadSpan for one of a wrong length, or of zeros alone."""
    if len(digits) != length:
        raise BadSpan(f"{name} has not the {length // 2} bytes of one")
    if digits.count("0") == length:
        raise BadSpan(f"{name} is all zeros")
    return digits
