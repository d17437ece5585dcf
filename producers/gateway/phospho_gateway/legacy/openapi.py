"""The OpenAPI operations of the legacy API."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from phospho_gateway.intake.models import Event, LoggedEvents
from phospho_gateway.legacy import models
from phospho_gateway.legacy.page_requests import MAX_LIMIT
from phospho_web.openapi import TEXT, Operation, list_of, query_parameter

_UPSTREAM = "What the clients of upstream phospho send."
_CONVERSATION_ORDER = "In the order of the conversation."
_PAGE = (
    query_parameter("limit", {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT}, "How many, 1,000 by default."),
    query_parameter("cursor", TEXT, "next_cursor of the page before."),
)


def legacy_operations() -> list[Operation]:
    """Return the operations."""
    return [*_logging(), *_changing(), *_reading()]


def _logging() -> list[Operation]:
    return [
        _post(
            "/v2/log/{project_id}",
            "Log a batch of events (API v2)",
            LoggedEvents,
            list_of("batched_log_events", Event, least=1),
            description=_UPSTREAM,
            success="The events, or the error of each, in their order.",
        ),
        _post(
            "/v3/log",
            "Log conversations",
            LoggedEvents,
            models.Conversations,
            description="Each turn of the user and what answered it becomes a task. A conversation may be sent again "
            "as "
            "it grows.",
            success="The conversations, or the error of each, in their order.",
        ),
        _post(
            "/v2/tasks",
            "Log a task",
            models.Task,
            models.NewTask,
            description="As POST /api/v1/events, in the form of upstream's clients.",
        ),
        _post(
            "/v2/sessions",
            "Make the id of a session",
            models.Session,
            models.NewSession,
            description="Nothing is stored: a session is there with its first task. The answer names what was ignored.",
            success="An id that is new.",
            is_body_required=False,
        ),
    ]


def _changing() -> list[Operation]:
    return [
        _post(
            "/v2/tasks/{task_id}/flag",
            "Flag a task (API v2)",
            models.Evaluation,
            models.FlagChange,
            description=_UPSTREAM,
        ),
        _post(
            "/v2/tasks/{task_id}/human-eval",
            "Evaluate a task (API v2)",
            models.Evaluation,
            models.HumanEvaluation,
            description=_UPSTREAM,
        ),
        _post(
            "/v2/tasks/{task_id}",
            "Change a task",
            models.Task,
            models.TaskChange,
            description="Metadata is laid over what there is. A flag is feedback of its own, and notes are its "
            "comment.",
        ),
        _post(
            "/v2/projects/{project_id}/tasks/flat-update",
            "Change tasks by rows",
            models.FlatOutcome,
            models.FlatChanges,
            description="Writes task_metadata and task_eval. The answer names the fields that are not written.",
            success="The changes are stored.",
        ),
    ]


def _reading() -> list[Operation]:
    project, session = "/v2/projects/{project_id}", "/v2/sessions/{session_id}"
    return [
        _get("/v2/tasks/{task_id}", "Read a task", models.Task),
        _get(session, "Read a session", models.Session),
        _get_page(f"{session}/tasks", "Read the tasks of a session", models.TaskPage, _CONVERSATION_ORDER),
        _post_page(
            f"{session}/tasks",
            "Read the tasks of a session",
            models.TaskPage,
            models.PageRequest,
            description=_CONVERSATION_ORDER,
        ),
        _get_page(f"{session}/transcript", "Read a session as text", models.Transcript, _CONVERSATION_ORDER),
        _get(project, "Read a project", models.Project),
        _get_page(f"{project}/sessions", "Read sessions", models.SessionPage, "The latest first."),
        _post_page(
            f"{project}/sessions",
            "Read sessions",
            models.SessionPage,
            models.ListRequest,
            description="Of tasks that pass.",
        ),
        _post_page(
            f"{project}/tasks",
            "Read tasks",
            models.TaskPage,
            models.ListRequest,
            description="The newest first.",
        ),
        _post_page(
            f"{project}/tasks/flat",
            "Read tasks as rows",
            models.FlatPage,
            models.FlatRequest,
            description="A row for each event.",
        ),
    ]


def _get(path: str, summary: str, answer: type[BaseModel], **more: Any) -> Operation:
    return Operation("get", path, summary, answer, tags=("legacy",), **({"success": "It."} | more))


def _get_page(path: str, summary: str, answer: type[BaseModel], description: str) -> Operation:
    return _get(path, summary, answer, description=description, success="A page.", parameters=_PAGE)


def _post(path: str, summary: str, answer: type[BaseModel], body: Any, **more: Any) -> Operation:
    return Operation(
        "post", path, summary, answer, body=body, tags=("legacy",), **({"success": "It is stored."} | more)
    )


def _post_page(path: str, summary: str, answer: type[BaseModel], body: Any, *, description: str) -> Operation:
    return _post(path, summary, answer, body, description=description, success="A page.", is_body_required=False)
