"""
Which events are sent together after a failure.

Some answers may be the doing of one event: a server's 500, an answer that can't be read, a transport that
raises. A group that fails so again and again is tried in halves, beside what has been logged since. One such
event then holds up nobody.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Callable, NamedTuple

from ._queue import Event

__all__ = ["SUSPECT_CODES", "Group", "regrouped", "size"]

SUSPECT_CODES = frozenset({"http_500", "transport_error", "bad_answer"})

# The first failures are more often the server's; and a server that fails all is asked this often a round.
SPLIT_FROM_FAILURES = 3
MAX_GROUPS = 8


class Group(NamedTuple):
    """Events that are sent together, and how often in a row they failed in a suspect way."""

    events: list[Event]
    failures: int = 0


def size(groups: Sequence[Group]) -> int:
    """Return the number of events."""
    return sum(len(group.events) for group in groups)


def regrouped(failed: Sequence[Group], take: Callable[[], list[Event]]) -> list[Group]:
    """Return the groups of the next round: the failed ones, split where suspect, and a new one of *take*."""
    groups: list[Group] = []
    for group in failed:
        is_split = _is_suspect(group) and len(group.events) > 1 and len(failed) < MAX_GROUPS
        groups += _halves(group) if is_split else [group]
    if any(map(_is_suspect, failed)) and len(groups) < MAX_GROUPS:
        fresh = take()
        groups += [Group(fresh)] if fresh else []
    return groups


def _is_suspect(group: Group) -> bool:
    return group.failures >= SPLIT_FROM_FAILURES


def _halves(group: Group) -> list[Group]:
    middle = len(group.events) // 2
    return [Group(half, SPLIT_FROM_FAILURES - 1) for half in (group.events[:middle], group.events[middle:])]
