"""The demo's past: days of sessions with the rhythm of a working week, three versions and a subject that grows."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from phospho_cli.demo.conversations import Conversations, DemoTask

_SEED = 7
_SESSIONS_A_DAY = 70.0
_WEEKEND = 0.45
# The app grows by this share from the beginning of the past to its end.
_GROWTH = 0.4
# Sessions of each hour of a day (UTC), relative to the mean hour.
_RHYTHM = (
    0.2, 0.12, 0.08, 0.06, 0.08, 0.2, 0.5, 0.9, 1.4, 1.8, 1.9, 1.8,
    1.5, 1.5, 1.7, 1.8, 1.7, 1.5, 1.3, 1.3, 1.2, 0.9, 0.6, 0.36,
)  # fmt: skip
_HOUR = timedelta(hours=1)
_HOUR_S = 3600.0


def past_tasks(days: int, now: datetime) -> Iterator[DemoTask]:
    """
    Yield the tasks of the last `days` days, today until `now` included, session by session, at Unix seconds.

    Asked again on the same day, the same sessions have the same ids.
    """
    start = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=days - 1)
    source = random.Random(_SEED)
    conversations = Conversations(source, f"demo-{start:%Y%m%d}")
    now_s = now.timestamp()
    hour = start
    while hour < now:
        # Of the whole last day, so that its sessions stay the same while it passes.
        point = (hour - start) / timedelta(days=days)
        for opening_s in _arrivals(source, hour, point):
            for task in _session_tasks(source, conversations, opening_s, point):
                if task.at_s < now_s:
                    yield task
        hour += _HOUR


def _arrivals(source: random.Random, hour: datetime, point: float) -> Iterator[float]:
    """Yield the moments of an hour at which a session begins: Poisson arrivals."""
    weekday = _WEEKEND if hour.weekday() >= 5 else 1.0
    hourly = _SESSIONS_A_DAY / 24 * _RHYTHM[hour.hour] * weekday * (1 + _GROWTH * point)
    at_s = source.expovariate(hourly)
    while at_s < 1:
        yield hour.timestamp() + at_s * _HOUR_S
        at_s += source.expovariate(hourly)


def _session_tasks(
    source: random.Random, conversations: Conversations, at_s: float, point: float
) -> Iterator[DemoTask]:
    """Yield the tasks of one session; between two of them a person reads and types."""
    session = conversations.session(point)
    while session.turns:
        yield conversations.task(at_s, session)
        at_s += 8 + source.lognormvariate(3.2, 0.7)
