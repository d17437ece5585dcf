"""The shapes of what goes to the server and comes back, as types for JSON objects; nothing is validated."""

from __future__ import annotations

from typing import Any, TypedDict

from ._queue import Event

__all__ = ["DetectedEvent", "Event", "LogContent", "ProjectContent", "SessionContent", "TaskContent"]


class LogContent(TypedDict, total=False):
    """What `log` returns, and, without `event_id`, what is sent. Any other key is metadata."""

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
    """A task as the server has it. Times are UTC; tokens and latency are None where nothing is known."""

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
    """A session as the server has it; the fields of a list and of a single session differ."""

    session_id: str
    tasks: int
    preview: str
    user_ids: list[str]
    events: list[dict[str, Any]]
    task_list: list[TaskContent]


class DetectedEvent(TypedDict, total=False):
    """What a definition has found in a task."""

    id: str
    name: str
    task_id: str
    session_id: str
    score: float


class ProjectContent(TypedDict, total=False):
    """A project as the server has it."""

    project_id: str
    name: str
    retention_days: int
