"""
The order in which due deliveries are sent: receivers that hang, or have many due, take a share of the threads. Pure.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Collection, Iterator, Sequence

from phospho_workers.jobs.webhooks.pending import DeliveryKey, WebhookKey

THREADS = 16
_MAX_OF_WEBHOOK = 4
_MAX_OF_PROJECT = 6
# Webhooks whose receivers gave no answer the last time: one delivery each, and together half of the threads.
_MAX_OF_HANGING_WEBHOOK = 1
_MAX_OF_ALL_HANGING = 8


class _Load:
    """The number of deliveries in flight, by project and by webhook."""

    def __init__(self, in_flight: Collection[DeliveryKey], hanging: Collection[WebhookKey]) -> None:
        self._hanging = hanging
        self.total = 0
        self.of_project: Counter[str] = Counter()
        self._of_webhook: Counter[WebhookKey] = Counter()
        self._of_hanging = 0
        for key in in_flight:
            self.add(key)

    def add(self, key: DeliveryKey) -> None:
        self.total += 1
        self.of_project[key.project_id] += 1
        self._of_webhook[key.webhook] += 1
        self._of_hanging += key.webhook in self._hanging

    def has_room(self, key: DeliveryKey) -> bool:
        """Tell whether another delivery to a webhook may begin."""
        if self.of_project[key.project_id] >= _MAX_OF_PROJECT:
            return False
        if key.webhook not in self._hanging:
            return self._of_webhook[key.webhook] < _MAX_OF_WEBHOOK
        return self._of_webhook[key.webhook] < _MAX_OF_HANGING_WEBHOOK and self._of_hanging < _MAX_OF_ALL_HANGING


def next_deliveries(
    due: Sequence[DeliveryKey], in_flight: Collection[DeliveryKey], hanging: Collection[WebhookKey]
) -> Iterator[DeliveryKey]:
    """
    Yield the deliveries to begin now, of those that are due in their order.

    The project with the fewest deliveries in flight comes first. `hanging` are the webhooks whose receivers gave no
    answer the last time.
    """
    load = _Load(in_flight, hanging)
    queues: dict[str, deque[DeliveryKey]] = {}
    for key in due:
        queues.setdefault(key.project_id, deque()).append(key)
    while queues and load.total < THREADS:
        project_id = min(queues, key=lambda name: load.of_project[name])
        following = _pop_next(queues[project_id], load)
        if following is None:
            del queues[project_id]
        else:
            load.add(following)
            yield following


def _pop_next(queue: deque[DeliveryKey], load: _Load) -> DeliveryKey | None:
    """Take the first delivery for which there is room; those before it have none in this round."""
    while queue:
        key = queue.popleft()
        if load.has_room(key):
            return key
    return None
