"""Tasks of a project, read from the server."""

from __future__ import annotations

from typing import Any, cast

from ._content.feedback import Flag
from ._reader import sql_literal
from .collection import Collection, ProjectClient
from .errors import NotFoundError
from .models import DetectedEvent, TaskContent

__all__ = ["Task", "TaskCollection", "TaskEntity"]


class Task:
    """One task. Its content is fetched when it is first read."""

    def __init__(self, client: ProjectClient, task_id: str, _content: TaskContent | None = None) -> None:
        self._client = client
        self._task_id = task_id
        self._content = _content

    def __repr__(self) -> str:
        return f"Task({self._task_id!r})"

    @property
    def id(self) -> str:
        """The task's id."""
        return self._task_id

    @property
    def content(self) -> TaskContent:
        """The task on the server, as of the first read or the last `refresh`. Raises APIError."""
        if self._content is None:
            self.refresh()
        assert self._content is not None
        return self._content

    def content_as_dict(self) -> dict[str, Any]:
        """Return a copy of the content."""
        return dict(self.content)

    def refresh(self) -> None:
        """Fetch the content again. Raises NotFoundError while the server has no such task."""
        rows = self._client.reader.rows(f"SELECT * FROM tasks WHERE task_id = {sql_literal(self._task_id)} LIMIT 1")
        if not rows:
            raise NotFoundError(
                404, f"there is no task {self._task_id!r}. A new one is stored about a second after its log"
            )
        self._content = cast(TaskContent, rows[0])

    def events(self) -> list[DetectedEvent]:
        """Return the events detected in the task, sorted by name."""
        query = f"SELECT * FROM events WHERE task_id = {sql_literal(self._task_id)} ORDER BY name"
        return cast("list[DetectedEvent]", self._client.reader.rows(query))

    def flag(self, flag: Flag, notes: str | None = None, source: str = "user") -> None:
        """Queue feedback on the task: "success" or "failure"."""
        self._client.flag(self._task_id, flag, source=source, notes=notes)


# Upstream has both names.
TaskEntity = Task


class TaskCollection(Collection):
    """The tasks of the client's project."""

    def get(self, task_id: str) -> Task:
        """Return the task of that id, with its content. Raises NotFoundError."""
        task = Task(self._client, task_id)
        task.refresh()
        return task

    def list(self, limit: int = 100) -> list[Task]:
        """Return the newest tasks, newest first."""
        query = f"SELECT * FROM tasks ORDER BY created_at DESC, task_id DESC LIMIT {int(limit)}"
        rows = cast("list[TaskContent]", self._reader.rows(query))
        return [Task(self._client, row["task_id"], row) for row in rows]

    # Upstream's name.
    get_all = list
