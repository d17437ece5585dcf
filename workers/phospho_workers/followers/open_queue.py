"""What a judge is asked next: the candidates without a verdict of each project, in the order of choice."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from phospho_workers.followers.candidates import Candidates
from phospho_workers.followers.concluded import OVERLAP_MS
from phospho_workers.judging.choice import OpenText, in_order

# What was analysed longer ago is not asked about any more: the budget is for what people look at.
LOOK_BACK_MS = 86_400_000
# An order that is older is made anew, with what arrived since.
_FRESH_S = 60.0


@dataclass
class _Waiting:
    """The order of one project, made at `made_s`, from what arrived since `arrived_since_ms`."""

    versions: Mapping[str, int]
    arrived_since_ms: int = 0
    made_s: float = float("-inf")
    texts: deque[OpenText] = field(default_factory=deque)


class OpenQueue:
    """The order in which a judge is asked, held in memory; a restart makes it anew."""

    def __init__(self, candidates: Candidates, clock: Callable[[], float] = time.monotonic) -> None:
        self._candidates = candidates
        self._clock = clock
        self._projects: dict[str, _Waiting] = {}

    def take(self, project_id: str, versions: Mapping[str, int], count: int) -> list[OpenText]:
        """
        Return the next texts of a project, `count` at most, with candidates of these versions of its definitions.

        What gets no verdict comes again, in a later order.
        """
        waiting = self._projects.get(project_id)
        if waiting is None or waiting.versions != versions:
            waiting = self._projects[project_id] = _Waiting(dict(versions))
        if not waiting.texts or self._clock() - waiting.made_s > _FRESH_S:
            self._order(project_id, waiting)
        return [waiting.texts.popleft() for _ in range(min(count, len(waiting.texts)))]

    def _order(self, project_id: str, waiting: _Waiting) -> None:
        now_ms = self._candidates.now_ms()
        since_ms = max(waiting.arrived_since_ms, now_ms - LOOK_BACK_MS)
        found = self._candidates.open(project_id, waiting.versions, since_ms)
        if not found:
            waiting.arrived_since_ms = now_ms - OVERLAP_MS
        waiting.texts = deque(in_order(found))
        waiting.made_s = self._clock()
