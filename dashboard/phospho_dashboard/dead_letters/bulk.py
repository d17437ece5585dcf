"""Many dead letters at once: replay or drop those that wait and are selected, a bounded number a call."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from phospho_dashboard.auth.visitors import Visitor
from phospho_dashboard.dead_letters.letters import DeadLetters, Selection
from phospho_dashboard.dead_letters.replay import replay_message
from phospho_dashboard.services import Services
from phospho_web.cursors import decoded_cursor
from phospho_web.problems import Problem, no_publisher

MAX_AT_ONCE = 500
# Payloads in memory at a time.
_MAX_BYTES = 8_000_000
_MAX_FAILURES = 20


class BulkActions:
    """
    Acts on the selected letters of a project, the latest first.

    The letters of no project may be those of another: an administrator acts on each of them by its id.
    """

    def __init__(self, services: Services) -> None:
        self._services = services
        self._letters = DeadLetters(services.store, services.clock)

    async def replay(
        self, visitor: Visitor, project_id: str, selection: Selection, cursor: str | None = None
    ) -> dict[str, Any]:
        """
        Replay up to MAX_AT_ONCE letters unchanged, and return how many, which failed and why, and the next cursor.

        Safe to repeat: a letter that was replayed and not marked is the same task. Raises Problem (503).
        """
        if self._services.publisher is None:
            raise no_publisher()
        rows, next_cursor = await self._page(project_id, selection, cursor)
        replayed, failures = 0, []
        for chunk in _chunks(rows):
            messages, done = [], []
            ids = [row["dead_letter_id"] for row in chunk]
            for letter in await self._services.threads.run(self._letters.with_payloads, [project_id], ids):
                try:
                    messages.append(replay_message(letter, None, None if visitor.is_admin else project_id).keyed)
                    done.append(letter)
                except Problem as problem:
                    failures.append({"dead_letter_id": letter["dead_letter_id"]} | problem.body())
            if messages:
                await self._services.publisher.publish(messages)
                await self._services.threads.run(self._letters.act, done, "replayed", visitor.author)
                replayed += len(messages)
        return {
            "replayed": replayed,
            "failed": len(failures),
            "failures": failures[:_MAX_FAILURES],
            "next_cursor": next_cursor,
        }

    async def drop(
        self, visitor: Visitor, project_id: str, selection: Selection, cursor: str | None = None
    ) -> dict[str, Any]:
        """Drop up to MAX_AT_ONCE letters, and return how many and the next cursor."""
        rows, next_cursor = await self._page(project_id, selection, cursor)
        await self._services.threads.run(self._letters.act, rows, "dropped", visitor.author)
        return {"dropped": len(rows), "next_cursor": next_cursor}

    async def _page(
        self, project_id: str, selection: Selection, cursor: str | None
    ) -> tuple[list[dict[str, Any]], str | None]:
        page = await self._services.threads.run(
            self._letters.page, [project_id], decoded_cursor(cursor), MAX_AT_ONCE, selection
        )
        return page["dead_letters"], page["next_cursor"]


def _chunks(rows: Sequence[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """Yield the rows in parts whose payloads are bounded together; a larger one is by itself."""
    chunk: list[dict[str, Any]] = []
    size_bytes = 0
    for row in rows:
        if chunk and size_bytes + row["payload_bytes"] > _MAX_BYTES:
            yield chunk
            chunk, size_bytes = [], 0
        chunk.append(row)
        size_bytes += row["payload_bytes"]
    if chunk:
        yield chunk
