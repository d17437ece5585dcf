"""What the collections of a project have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._reader import Reader

if TYPE_CHECKING:
    from ._client import Client

__all__ = ["Collection"]


class Collection:
    """Things of one project, as its client reads them. Making one does no I/O."""

    def __init__(self, client: Client) -> None:
        self._client = client

    @property
    def _reader(self) -> Reader:
        return self._client.reader
