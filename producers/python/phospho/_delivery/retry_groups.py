"""
Groups of events that are retried together after a failure.

One event may cause some failures: a server's 500, an answer that can't be read, a transport that raises. A group
that keeps failing that way is retried in halves, beside events logged since, so one bad event holds up no other.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Callable, NamedTuple

from .queue import Event

__all__ = ["SUSPECT_CODES", "Group", "event_count", "regrouped"]

SUSPECT_CODES = frozenset({"http_500", "transport_error", "bad_answer"})

# The first failures are more often the server's. A server that fails every request gets MAX_GROUPS of them a round.
SPLIT_FROM_FAILURES = 3
MAX_GROUPS = 8


class Group(NamedTuple):
    """Events that are sent together, and their consecutive failures with a suspect code."""

    events: list[Event]
    failures: int = 0


def event_count(groups: Sequence[Group]) -> int:
    """Return the number of events in all *groups*."""
    return sum(len(group.events) for group in groups)


def regrouped(failed: Sequence[Group], take: Callable[[], list[Event]]) -> list[Group]:
    """Return the groups of the next round: the failed ones, halved where suspect, and a new one from *take*."""
    groups: list[Group] = []
    for group in failed:
        is_split = _is_suspect(group) and len(group.events) > 1 and len(failed) < MAX_GROUPS
        groups += _halves(group) if is_split else [group]
    if any(map(_is_suspect, failed)) and len(groups) < MAX_GROUPS:
        events = take()
        groups += [Group(events)] if events else []
    return groups


def _is_suspect(group: Group) -> bool:
    return group.failures >= SPLIT_FROM_FAILURES


def _halves(group: Group) -> list[Group]:
    middle = len(group.events) // 2
    return [Group(half, SPLIT_FROM_FAILURES - 1) for half in (group.events[:middle], group.events[middle:])]
