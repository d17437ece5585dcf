"""`/v2/tasks`: one task, read, made and changed."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from phospho_gateway.intake.events import AcceptedEvent
from phospho_gateway.legacy import models
from phospho_gateway.legacy.documents import task_document
from phospho_gateway.legacy.endpoints import legacy_get, legacy_post, object_field, path_id, text_field
from phospho_gateway.legacy.reads.task_reads import Row, StoredTask, TaskReads
from phospho_gateway.legacy.writes.changes import Change, logs_of
from phospho_gateway.read_store import GatewayServices
from phospho_web.endpoints import ApiEndpoints
from phospho_web.problems import Problem
from phospho_web.responses import json_response


class TaskApi(ApiEndpoints):
    """The endpoints of one task."""

    def __init__(self, services: GatewayServices) -> None:
        self._services = services
        self._reads = TaskReads(services.reads.store, services.settings.max_page_bytes)

    @legacy_post(
        "/v2/tasks",
        "Log a task",
        models.Task,
        models.NewTask,
        description="As POST /api/v1/events, in the form of upstream's clients.",
    )
    async def create(self, request: Request) -> Response:
        """Log a task; 200 with it when it is durable, made of the request, as the task can't be read yet."""
        services = self._services
        project_id = await services.access.project(request)
        with services.bodies.open(request) as body:
            envelope = services.intake.envelope(request, project_id, "v2")
            log = as_log(await body.object())
            accepted = services.intake.read_event(log, envelope)
            await services.intake.publish([accepted], envelope)
        return json_response(created_document(log, accepted))

    @legacy_get("/v2/tasks/{task_id:path}", "Read a task", models.Task)
    @legacy_post(
        "/v2/tasks/{task_id:path}",
        "Change a task",
        models.Task,
        models.TaskChange,
        description="Metadata is laid over what there is. A flag is feedback of its own, and notes are its comment.",
    )
    async def task(self, request: Request) -> Response:
        """Return a task; by POST, change it before."""
        if request.method == "POST":
            return await self._change(request)
        project_id, task_id = await self._services.access.own_project(request), path_id(request, "task_id")
        return json_response(task_document(await self._stored(project_id, task_id)))

    async def _change(self, request: Request) -> Response:
        """Change metadata, notes or flag of a task; 200 with it when the change is durable."""
        services = self._services
        project_id, task_id = await services.access.own_project(request, "ingest"), path_id(request, "task_id")
        with services.bodies.open(request) as body:
            envelope = services.intake.envelope(request, project_id, "v2")
            change = _change(await body.object())
            stored = await self._stored(project_id, task_id)
            logs, task = logs_of(stored, change, services.intake, envelope)
            await services.intake.publish(logs, envelope, "change")
        return json_response(task_document(task))

    async def _stored(self, project_id: str, task_id: str) -> StoredTask:
        task = await self._services.reads.run(self._reads.task, project_id, task_id)
        if task is None:
            raise Problem(
                404,
                "unknown_task",
                "there is no such task in this project",
                "a task can be read about a second after it was logged",
            )
        return task


def _change(body: dict[str, Any]) -> Change:
    metadata = object_field(body, "metadata")
    data = {"data": object_field(body, "data")} if body.get("data") is not None else {}
    flag, notes, source = (text_field(body, name) for name in ("flag", "notes", "flag_source"))
    return Change(metadata=metadata | data, flag=flag or None, notes=notes, source=source)


_SAME_IN_A_LOG = ("task_id", "session_id", "project_id", "flag")
_TEXTS = ("input", "output")
_OBJECTS = ("additional_input", "additional_output", "metadata", "data")
_UNWRITTEN = {"user_id": "", "version_id": "", "model": "", "system_prompt": "", "raw_input": "", "raw_output": ""}


def as_log(body: dict[str, Any]) -> Row:
    """Return a new task as a log; fields that a log doesn't have become metadata. Raises Problem (422)."""
    log: Row = {name: body[name] for name in _SAME_IN_A_LOG if body.get(name) is not None}
    log |= {name: text for name in _TEXTS if (text := text_field(body, name)) is not None}
    objects = {name: value for name in _OBJECTS if (value := object_field(body, name))}
    fields = {*_SAME_IN_A_LOG, *_TEXTS, *_OBJECTS}
    metadata = {name: value for name, value in body.items() if name not in fields and value is not None}
    metadata |= {"data": objects["data"]} if "data" in objects else {}
    raw = {"additional_input": "raw_input", "additional_output": "raw_output"}
    log |= {ours: objects[theirs] for theirs, ours in raw.items() if theirs in objects}
    return log | {"metadata": metadata | objects.get("metadata", {})}


def created_document(log: Row, accepted: AcceptedEvent) -> Row:
    """Return an accepted task as `Task`, as it will be read, without the results of detection."""
    created_at_ms = int(datetime.fromisoformat(accepted.created_at).timestamp() * 1000)
    row = _UNWRITTEN | {
        "task_id": accepted.task_id,
        "session_id": accepted.session_id,
        "created_at_ms": created_at_ms,
        "input": log["input"],
        "output": log.get("output", ""),
        "flag": log.get("flag") or "",
        "metadata": log["metadata"],
    }
    document = task_document(
        StoredTask(accepted.project_id, row, analysis={}, events=[], feedback=[], position=1, session_length=1)
    )
    raw = {"additional_input": log.get("raw_input", {}), "additional_output": log.get("raw_output", {})}
    return document | raw | {"task_position": None, "is_last_task": None}
