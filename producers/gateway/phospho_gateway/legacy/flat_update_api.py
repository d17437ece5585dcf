"""`/v2/projects/{id}/tasks/flat-update`: changes of many tasks in upstream's flattened form."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from phospho_gateway.intake.events import Envelope
from phospho_gateway.intake.fields import check_identifier
from phospho_gateway.intake.receipts import Accepted
from phospho_gateway.legacy import models
from phospho_gateway.legacy.endpoints import legacy_post, object_field, objects_field, text_field
from phospho_gateway.legacy.reads.task_reads import StoredTask, TaskReads
from phospho_gateway.legacy.writes.changes import Change, logs_of
from phospho_gateway.read_store import GatewayServices
from phospho_web.endpoints import ApiEndpoints
from phospho_web.problems import Problem, invalid
from phospho_web.requests import json_type
from phospho_web.responses import json_response

_METADATA_PREFIX = "task_metadata."
_WRITTEN = ("task_id", "task_metadata", "task_eval", "task_eval_source", "task_eval_at")
_MAX_NAMES = 100


class FlatUpdateApi(ApiEndpoints):
    """
    The endpoint that `push_tasks_df` calls.

    Like upstream's, it writes a task's metadata and its evaluation. The answer names the other fields that were sent,
    the tasks that don't exist, and those whose change is refused.
    """

    def __init__(self, services: GatewayServices) -> None:
        self._services = services
        self._reads = TaskReads(services.reads.store, services.settings.max_page_bytes)

    @legacy_post(
        "/v2/projects/{project_id}/tasks/flat-update",
        "Change tasks by rows",
        models.FlatOutcome,
        models.FlatChanges,
        description="Writes task_metadata and task_eval. The answer names the fields that are not written.",
        success="The changes are stored.",
    )
    async def update(self, request: Request) -> Response:
        """Change tasks; 200 when the changes are durable. Sent again, it changes nothing."""
        services = self._services
        project_id = await services.access.own_project(request, "ingest")
        with services.bodies.open(request) as body:
            envelope = services.intake.envelope(request, project_id, "v2")
            flat = objects_field(await body.object(), "flattened_tasks", services.settings.max_events)
            changes = changes_of(flat)
            outcome = await self._apply(project_id, changes, envelope)
        return json_response(outcome | {"ignored_fields": ignored_fields(flat)})

    async def _apply(self, project_id: str, changes: Mapping[str, Change], envelope: Envelope) -> dict[str, Any]:
        """Change as many tasks at a time as fit on a page; return the answer."""
        left = list(changes)
        stored = changed = 0
        missing: list[str] = []
        errors: list[dict[str, Any]] = []
        while left:
            tasks, rest = await self._services.reads.run(self._reads.first_page_of, project_id, left)
            missing += [task_id for task_id in left[: len(left) - len(rest)] if task_id not in tasks]
            stored, left = stored + len(tasks), rest
            changed_now, errors_now = await self._write(tasks, changes, envelope)
            changed, errors = changed + changed_now, errors + errors_now
        unchanged = stored - changed - len(errors)
        return {"changed": changed, "unchanged": unchanged, "not_found": missing, "errors": errors}

    async def _write(
        self, tasks: Mapping[str, StoredTask], changes: Mapping[str, Change], envelope: Envelope
    ) -> tuple[int, list[dict[str, Any]]]:
        """Write the changes of some tasks; return how many have changed, and an error for each refused change."""
        intake, changed = self._services.intake, 0
        published: list[Accepted] = []
        errors: list[dict[str, Any]] = []
        with self._services.bodies.budget.lease() as lease:
            # In the order of writing, which stays the order of tasks that were logged in one second.
            for task in sorted(tasks.values(), key=lambda task: (task.row["created_at_ms"], task.row["revision"])):
                task_id = task.row["task_id"]
                try:
                    logs, _ = logs_of(task, changes[task_id], intake, envelope)
                except Problem as problem:
                    envelope.receipt.reject(problem.code)
                    errors.append({"task_id": task_id} | problem.body())
                    continue
                lease.grow(sum(len(log.keyed.value) for log in logs))
                published += logs
                changed += bool(logs)
            await intake.publish(published, envelope, "change")
        return changed, errors


def changes_of(flat: Iterable[dict[str, Any]]) -> dict[str, Change]:
    """
    Return the change of each task. A task may have several rows, one for each of its events: the last one counts.

    Raises Problem (422).
    """
    return {_task_id(row): _change(row) for row in flat}


def ignored_fields(flat: Iterable[dict[str, Any]]) -> list[str]:
    """Return the names of the fields that have a value and are not written."""
    names = {name for row in flat for name, value in row.items() if value is not None}
    ignored = (name for name in names if name not in _WRITTEN and not name.startswith(_METADATA_PREFIX))
    return sorted(ignored)[:_MAX_NAMES]


def _task_id(row: dict[str, Any]) -> str:
    task_id = check_identifier(dict(row), "task_id")
    if not task_id:
        raise invalid("missing_task_id", "a row has no task_id", "send the task_id of each task")
    return task_id


def _change(row: dict[str, Any]) -> Change:
    prefixed = {name.removeprefix(_METADATA_PREFIX): row[name] for name in row if name.startswith(_METADATA_PREFIX)}
    metadata = {name: value for name, value in prefixed.items() if value is not None}
    flag, source = text_field(row, "task_eval"), text_field(row, "task_eval_source")
    made_at_s = row.get("task_eval_at")
    if made_at_s is not None and type(made_at_s) not in (int, float):
        raise invalid("invalid_type", f"task_eval_at is {json_type(made_at_s)}", "send Unix seconds")
    if flag not in (None, "", "success", "failure"):
        raise invalid("invalid_flag", "task_eval is neither success nor failure", "send one of the two, or null")
    return Change(
        metadata=object_field(row, "task_metadata") | metadata,
        flag=flag or None,
        source=source or None,
        made_at_s=made_at_s,
    )
