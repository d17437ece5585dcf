"""The base of collections of tasks and sessions, and the client that they need."""

from __future__ import annotations

from typing import Protocol

from ._content.feedback import Flag
from ._reader import Reader

__all__ = ["Collection", "ProjectClient"]


class ProjectClient(Protocol):
    """A client that reads a project and sends feedback, as `phospho.Client` does."""

    @property
    def reader(self) -> Reader: ...

    def flag(self, task_id: str, flag: Flag, source: str = "user", notes: str | None = None) -> None: ...


class Collection:
    """Tasks or sessions of one project, read by its client. Making one does no I/O."""

    def __init__(self, client: ProjectClient) -> None:
        self._client = client

    @property
    def _reader(self) -> Reader:
        return self._client.reader
