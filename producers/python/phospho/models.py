"""Types of the JSON objects that go to the server and come back. Nothing is validated."""

from __future__ import annotations

from typing import Any, TypedDict

from ._delivery.queue import Event

__all__ = ["DetectedEvent", "Event", "LogContent", "ProjectContent", "SessionContent", "TaskContent"]


class LogContent(TypedDict, total=False):
    """A task as `log` returns it and, without `event_id`, as it is sent. Any other key is metadata."""

    event_id: str
    task_id: str
    session_id: str
    project_id: str
    client_created_at: float
    input: str
    output: str | None
    raw_input: Any
    raw_output: Any
    raw_input_type_name: str
    raw_output_type_name: str
    system_prompt: str
    model: str
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    user_id: str
    version_id: str
    flag: str
    metadata: dict[str, Any]


class TaskContent(TypedDict, total=False):
    """A task on the server. Times are UTC. Token counts and latency are None if unknown."""

    task_id: str
    session_id: str
    user_id: str
    version_id: str
    created_at: str
    input: str
    output: str
    system_prompt: str
    flag: str
    model: str
    tokens_in: int | None
    tokens_out: int | None
    latency_ms: float | None
    metadata: Any
    raw_input: str
    raw_output: str
    source: str


class SessionContent(TypedDict, total=False):
    """A session on the server. Lists and single sessions have different fields."""

    session_id: str
    tasks: int
    preview: str
    user_ids: list[str]
    events: list[dict[str, Any]]
    task_list: list[TaskContent]


class DetectedEvent(TypedDict, total=False):
    """An event that was detected in a task."""

    id: str
    name: str
    task_id: str
    session_id: str
    score: float


class ProjectContent(TypedDict, total=False):
    """A project on the server."""

    project_id: str
    name: str
    retention_days: int
