"""Sessions of a project, read from the server."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast
from urllib.parse import quote

from .collection import Collection, ProjectClient
from .models import SessionContent, TaskContent
from .tasks import Task

__all__ = ["Session", "SessionCollection"]


class Session:
    """One session. Its content is fetched when it is first read."""

    def __init__(self, client: ProjectClient, session_id: str, _content: SessionContent | None = None) -> None:
        self._client = client
        self._session_id = session_id
        self._content = _content

    def __repr__(self) -> str:
        return f"Session({self._session_id!r})"

    @property
    def id(self) -> str:
        """The session's id."""
        return self._session_id

    @property
    def content(self) -> SessionContent:
        """The session on the server, as of the first read or the last `refresh`. Raises APIError."""
        if self._content is None:
            self.refresh()
        assert self._content is not None
        return self._content

    def refresh(self) -> None:
        """Fetch the content again. Raises NotFoundError while the server has no such session."""
        self._content = cast(SessionContent, self._page(None)["session"])

    def list_tasks(self) -> list[Task]:
        """Return the tasks of the session in their order. The content of each is fetched when it is read."""
        # The rows of a transcript lack fields such as the session id and the metadata.
        return [Task(self._client, row["task_id"]) for row in self._rows()]

    def _rows(self) -> Iterator[TaskContent]:
        cursor: str | None = None
        while True:
            page = self._page(cursor)
            yield from page["session"]["task_list"]
            cursor = page["next_cursor"]
            if cursor is None:
                return

    def _page(self, cursor: str | None) -> dict[str, Any]:
        path = f"/api/v1/sessions/{quote(self._session_id, safe='')}"
        return cast("dict[str, Any]", self._client.reader.get(path, {"cursor": cursor}))


class SessionCollection(Collection):
    """The sessions of the client's project."""

    def get(self, session_id: str) -> Session:
        """Return the session of that id, with its content. Raises NotFoundError."""
        session = Session(self._client, session_id)
        session.refresh()
        return session

    def list(self, limit: int = 100) -> list[Session]:
        """Return the sessions with the newest tasks, newest first."""
        page = self._reader.get("/api/v1/sessions", {"limit": int(limit)})
        return [Session(self._client, row["session_id"], row) for row in page["sessions"]]

    # Upstream's name.
    get_all = list
