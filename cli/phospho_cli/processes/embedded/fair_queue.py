"""Requests that wait to be stored. Batches are bounded in cost and take turns among the projects."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

from phospho_workers.runtime.records import Record

# What a batch may cost: a request of another project waits for no more than the batch in hand. Roughly microseconds of
# one core for extraction, detection and insert; the measurement is that of `make bench`.
_MAX_BATCH_COST = 200_000
# Where several projects wait: a small request is answered with the batch that it is in.
_SHARED_BATCH_COST = 50_000
_RECORD_COST = 600
_BYTES_PER_COST = 3
# Parts of a large log are stored as they are. The gateway alone writes messages that begin so.
_PART_START = b'{"kind":"part",'
_BYTES_PER_COST_OF_PART = 40
# What the parts of large logs may hold, in budgets of the other logs: one of the largest, and another beside it.
_PART_BUDGETS = 2
# Each key beyond those of an ordinary log, by the colons of its JSON.
_ORDINARY_COLONS = 30
_COLON_COST = 30
# Most records of a request in one turn of its project.
_TURN_RECORDS = 50


@dataclass(eq=False)
class StoreRequest:
    """
    Raw logs of one project that are answered together, and how many of them batches have taken and done.

    `receipts` are the rows that are stored once all of the logs are. Those of refused requests have no logs.
    """

    project_id: str
    records: Sequence[Record]
    size_bytes: int
    receipts: Sequence[bytes] = ()
    stored: Future[None] = field(default_factory=lambda: Future())
    taken: int = 0
    done: int = 0
    part_bytes: int = field(init=False)

    def __post_init__(self) -> None:
        self.part_bytes = sum(len(record.value) for record in self.records if _is_part(record))

    def is_whole_with(self, records: Sequence[Record]) -> bool:
        """Return whether these are the last records of the request."""
        return self.done + len(records) == len(self.records)

    def answer(self, error: Exception | None) -> None:
        """End the wait of the caller."""
        if error is None:
            self.stored.set_result(None)
        else:
            self.stored.set_exception(error)


Batch = Mapping[StoreRequest, Sequence[Record]]


class _Budget:
    """Bytes of requests that are not answered: at most `limit_bytes`, half of it those of one project."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._held_bytes: Counter[str] = Counter()

    def has_room(self, project_id: str, size_bytes: int) -> bool:
        """Return whether a size fits. One that is larger than a bound does where no other counts against it."""
        bounds = ((self._held_bytes[project_id], self._limit_bytes // 2), (self._held_bytes.total(), self._limit_bytes))
        return not size_bytes or all(not held or held + size_bytes <= limit for held, limit in bounds)

    def count(self, project_id: str, size_bytes: int) -> None:
        """Count bytes of a project, negative ones for an answered request."""
        self._held_bytes[project_id] += size_bytes
        if not self._held_bytes[project_id]:
            del self._held_bytes[project_id]


class FairQueue:
    """
    Waiting requests, in order within a project. Thread-safe.

    `max_bytes` bounds all requests that are not answered, and half of it those of one project. Parts of large logs have
    a budget of their own, so that a small request is never refused for them. Batches are group
    commits: one waits for as many requests as are on their way, those that the batch before answered, whose clients
    send the next ones, and those that wait already. It does so for `linger_s` after the batch before. A request that is
    alone never waits.
    """

    def __init__(self, max_bytes: int, linger_s: float) -> None:
        self._logs = _Budget(max_bytes)
        self._parts = _Budget(_PART_BUDGETS * max_bytes)
        self._linger_s = linger_s
        self._waiting_requests = 0
        self._answered_requests = 0
        self._expected_requests = 0
        self._waiting: dict[str, deque[StoreRequest]] = {}
        # The projects that wait; the first is next.
        self._turns: deque[str] = deque()
        self._is_closed = False
        self._changed = threading.Condition()

    @property
    def is_closed(self) -> bool:
        return self._is_closed

    def put(self, request: StoreRequest) -> bool:
        """Add a request; False where too much waits, or after `close`."""
        with self._changed:
            sizes = self._sizes(request)
            if self._is_closed or not all(budget.has_room(request.project_id, size) for budget, size in sizes):
                return False
            for budget, size in sizes:
                budget.count(request.project_id, size)
            if request.project_id not in self._waiting:
                self._waiting[request.project_id] = deque()
                self._turns.append(request.project_id)
            self._waiting[request.project_id].append(request)
            self._waiting_requests += 1
            self._changed.notify()
            return True

    def close(self) -> None:
        """Let `take` return None once no request waits."""
        with self._changed:
            self._is_closed = True
            self._changed.notify()

    def take(self) -> Batch | None:
        """Return the next batch, which may be empty; wait for one. None after the last."""
        with self._changed:
            linger_until_s = time.monotonic() + self._linger_s
            while not self._turns and not self._is_closed:
                self._changed.wait()
            if not self._turns:
                return None
            self._linger(linger_until_s)
            self._answered_requests = self._expected_requests = 0
            return dict(self._batch())

    def drop(self, request: StoreRequest) -> None:
        """Take no more of a request."""
        with self._changed:
            requests = self._waiting.get(request.project_id)
            if requests and requests[0] is request:
                self._pop(request.project_id)
                if request.project_id not in self._waiting:
                    self._turns.remove(request.project_id)

    def release(self, request: StoreRequest) -> None:
        """Count a request no longer, since it is about to be answered."""
        with self._changed:
            self._answered_requests += 1
            self._expected_requests = self._answered_requests + self._waiting_requests
            for budget, size in self._sizes(request):
                budget.count(request.project_id, -size)

    def _sizes(self, request: StoreRequest) -> tuple[tuple[_Budget, int], ...]:
        return (self._logs, request.size_bytes - request.part_bytes), (self._parts, request.part_bytes)

    def _linger(self, until_s: float) -> None:
        while not self._is_closed and self._waiting_requests < self._expected_requests:
            left_s = until_s - time.monotonic()
            if left_s <= 0:
                return
            self._changed.wait(left_s)

    def _batch(self) -> Iterator[tuple[StoreRequest, Sequence[Record]]]:
        """Yield each request of the batch with its records, which may be a part of it."""
        first_of: dict[StoreRequest, int] = {}
        left = _MAX_BATCH_COST if len(self._turns) == 1 else _SHARED_BATCH_COST
        while self._turns and left > 0:
            project_id = self._turns.popleft()
            request = self._waiting[project_id][0]
            if request.taken or request.stored.set_running_or_notify_cancel():
                first_of.setdefault(request, request.taken)
                left -= self._take_turn(request, left)
            else:
                request.taken = len(request.records)
                self.release(request)
            if request.taken == len(request.records):
                self._pop(project_id)
            if project_id in self._waiting:
                self._turns.append(project_id)
        for request, first in first_of.items():
            yield request, request.records[first : request.taken]

    def _take_turn(self, request: StoreRequest, budget: int) -> int:
        """Take records of a request within the budget, at least one, and return their cost."""
        cost = 0
        for record in request.records[request.taken : request.taken + _TURN_RECORDS]:
            cost += _cost(record)
            request.taken += 1
            if cost >= budget:
                break
        return cost

    def _pop(self, project_id: str) -> None:
        self._waiting[project_id].popleft()
        self._waiting_requests -= 1
        if not self._waiting[project_id]:
            del self._waiting[project_id]


def _is_part(record: Record) -> bool:
    return record.value.startswith(_PART_START)


def _cost(record: Record) -> int:
    if _is_part(record):
        return _RECORD_COST + len(record.value) // _BYTES_PER_COST_OF_PART
    keys = max(0, record.value.count(b":") - _ORDINARY_COLONS)
    return _RECORD_COST + len(record.value) // _BYTES_PER_COST + keys * _COLON_COST
