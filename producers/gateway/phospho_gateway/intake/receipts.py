"""Receipts: what became of the logs of one request, as rows of `phospho.receipts`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import orjson
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from phospho_schemas.ids import message_key
from phospho_schemas.messages import SCHEMA_VERSION
from phospho_schemas.rows.ledger import ItemKind
from phospho_schemas.topics import Keyed

HEADER = "Phospho-Receipt"
_STATE = "phospho.receipt"


class Item(NamedTuple):
    """The identity of an accepted log within its project, and its revision."""

    kind: ItemKind
    id: str
    revision: int


class Accepted(Protocol):
    """A log that may be published."""

    @property
    def keyed(self) -> Keyed: ...

    @property
    def project_id(self) -> str: ...

    @property
    def item(self) -> Item: ...

    @property
    def parts(self) -> tuple[Keyed, ...]:
        """The messages that go before that of a large log."""


@dataclass(eq=False)
class Receipt:
    """
    The outcome of a request: the accepted logs that are durable, and the refused ones by error code.

    `project_id` is that of refused logs; None where the request names none, which are then in no ledger.
    """

    id: str = ""
    project_id: str | None = None
    source: str = ""
    received_at: str = ""
    is_published: bool = False
    _items: dict[str, list[Item]] = field(default_factory=dict)
    _rejected: Counter[str] = field(default_factory=Counter)

    def accept(self, logs: Sequence[Accepted]) -> None:
        """Add logs."""
        for log in logs:
            self._items.setdefault(log.project_id, []).append(log.item)

    def withdraw(self, logs: Sequence[Accepted], code: str) -> None:
        """Make logs that were added last, and are not durable, refused ones."""
        for project_id, number in Counter(log.project_id for log in logs).items():
            del self._items[project_id][-number:]
        self._items = {project_id: items for project_id, items in self._items.items() if items}
        self.reject(code, len(logs))

    def reject(self, code: str, number: int = 1) -> None:
        """Add refused logs."""
        self._rejected[code] += number

    @property
    def is_empty(self) -> bool:
        return not self._items and not self._rejected

    def messages(self, revision: int) -> list[Keyed]:
        """Return a message for each project. A greater revision replaces those of earlier calls."""
        projects = dict.fromkeys(self._items)
        if self._rejected and self.project_id is not None:
            projects[self.project_id] = None
        return [self._message(project_id, revision) for project_id in projects]

    def _message(self, project_id: str, revision: int) -> Keyed:
        items = self._items.get(project_id, [])
        row = {
            "schema_version": SCHEMA_VERSION,
            "project_id": project_id,
            "receipt_id": self.id,
            "revision": revision,
            "source": self.source,
            "received_at": self.received_at,
            "rejected": self._rejected if project_id == self.project_id else {},
            "item_kinds": [item.kind for item in items],
            "item_ids": [item.id for item in items],
            "item_revisions": [item.revision for item in items],
        }
        return Keyed(message_key(project_id, self.id, ""), orjson.dumps(row))


def attach(request: Request, receipt: Receipt) -> None:
    """Make a receipt that of a request: its id goes out in a header of the answer."""
    request.scope[_STATE] = receipt


def receipt_of(request: Request) -> Receipt | None:
    """Return the receipt of a request; None before the request named a project."""
    receipt: Receipt | None = request.scope.get(_STATE)
    return receipt


class ReceiptHeader:
    """ASGI middleware that adds the id of a published receipt to the answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""

        async def with_header(message: Message) -> None:
            receipt: Receipt | None = scope.get(_STATE)
            if message["type"] == "http.response.start" and receipt is not None and receipt.is_published:
                MutableHeaders(scope=message)[HEADER] = receipt.id
            await send(message)

        await self._app(scope, receive, with_header)
