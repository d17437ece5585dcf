"""The tasks of a project, read back from the server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from ._reader import quoted
from ._verdicts import Flag
from .collection import Collection
from .errors import NotFoundError
from .models import DetectedEvent, TaskContent

if TYPE_CHECKING:
    from ._client import Client

__all__ = ["Task", "TaskCollection", "TaskEntity"]


class Task:
    """One task. Its content is fetched when it is first looked at."""

    def __init__(self, client: Client, task_id: str, _content: TaskContent | None = None) -> None:
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
        """What the server has of the task, as of the first look or the last `refresh`. Raises APIError."""
        if self._content is None:
            self.refresh()
        assert self._content is not None
        return self._content

    def content_as_dict(self) -> dict[str, Any]:
        """Return a copy of the content."""
        return dict(self.content)

    def refresh(self) -> None:
        """Fetch the content anew. Raises NotFoundError while the server has no such task."""
        rows = self._client.reader.rows(
            f"SELECT * FROM tasks WHERE task_id = {quoted(self._task_id)} LIMIT 1"
        )
        if not rows:
            raise NotFoundError(404, f"there is no task {self._task_id!r}")
        self._content = cast(TaskContent, rows[0])

    def events(self) -> list[DetectedEvent]:
        """Return what was detected in the task, the earliest first."""
        query = f"SELECT * FROM events WHERE task_id = {quoted(self._task_id)} ORDER BY name"
        return cast("list[DetectedEvent]", self._client.reader.rows(query))

    def flag(self, flag: Flag, notes: str | None = None, source: str = "user") -> None:
        """Queue a verdict on the task: "success" or "failure"."""
        self._client.flag(self._task_id, flag, source=source, notes=notes)


# Upstream has used both names.
TaskEntity = Task


class TaskCollection(Collection):
    """The tasks of the client's project."""

    def get(self, task_id: str) -> Task:
        """Return the task of that id, with its content. Raises NotFoundError."""
        task = Task(self._client, task_id)
        task.refresh()
        return task

    def list(self, limit: int = 100) -> list[Task]:
        """Return the newest tasks, the newest first."""
        query = f"SELECT * FROM tasks ORDER BY created_at DESC, task_id DESC LIMIT {int(limit)}"
        rows = cast("list[TaskContent]", self._reader.rows(query))
        return [Task(self._client, row["task_id"], row) for row in rows]

    # Upstream's name.
    get_all = list
