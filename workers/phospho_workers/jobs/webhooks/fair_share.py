"""Who is told next: receivers that hang, or have much to be told, take a share of the threads and no more. Pure."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Collection, Iterator, Sequence

WebhookKey = tuple[str, str]
# Project, webhook, event.
Key = tuple[str, str, str]

THREADS = 16
_OF_ONE = 4
_OF_ONE_PROJECT = 6
# Receivers that gave no answer the last time: one message each, and all of them together no more than half of it.
_OF_ONE_THAT_HANGS = 1
_OF_ALL_THAT_HANG = 8


class _Busy:
    """How many messages are under way, by what they count for."""

    def __init__(self, keys: Collection[Key], hanging: Collection[WebhookKey]) -> None:
        self._hanging = hanging
        self.total = 0
        self.of_project: Counter[str] = Counter()
        self._of_webhook: Counter[WebhookKey] = Counter()
        self._of_hanging = 0
        for key in keys:
            self.add(key)

    def add(self, key: Key) -> None:
        self.total += 1
        self.of_project[key[0]] += 1
        self._of_webhook[key[:2]] += 1
        self._of_hanging += key[:2] in self._hanging

    def has_room(self, key: Key) -> bool:
        """Tell whether another message may begin for a webhook."""
        if self.of_project[key[0]] >= _OF_ONE_PROJECT:
            return False
        if key[:2] not in self._hanging:
            return self._of_webhook[key[:2]] < _OF_ONE
        return self._of_webhook[key[:2]] < _OF_ONE_THAT_HANGS and self._of_hanging < _OF_ALL_THAT_HANG


def chosen(due: Sequence[Key], busy: Collection[Key], hanging: Collection[WebhookKey]) -> Iterator[Key]:
    """
    Yield what to begin now, of what is `due` in its order, beside what is `busy`.

    A project of which the least is under way comes first. `hanging` are the webhooks that gave no answer the last time.
    """
    now = _Busy(busy, hanging)
    queues: dict[str, deque[Key]] = {}
    for key in due:
        queues.setdefault(key[0], deque()).append(key)
    while queues and now.total < THREADS:
        project_id = min(queues, key=lambda name: now.of_project[name])
        following = _next(queues[project_id], now)
        if following is None:
            del queues[project_id]
        else:
            now.add(following)
            yield following


def _next(queue: deque[Key], now: _Busy) -> Key | None:
    """Take the first for which there is room; what was before it has none in this round."""
    while queue:
        key = queue.popleft()
        if now.has_room(key):
            return key
    return None
