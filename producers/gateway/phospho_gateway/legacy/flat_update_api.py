"""`/v2/projects/{id}/tasks/flat-update`: changes of many tasks in upstream's flattened form."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from phospho_gateway.intake.events import Envelope
from phospho_gateway.intake.fields import check_identifier
from phospho_gateway.legacy.reads.task_reads import StoredTask, TaskReads
from phospho_gateway.legacy.typed_fields import object_field, objects_field, text_field
from phospho_gateway.legacy.writes.changes import Change
from phospho_gateway.legacy.writes.writes import applied
from phospho_gateway.services import Services
from phospho_schemas.records import Keyed
from phospho_web.bodies import json_type
from phospho_web.problems import Problem, invalid
from phospho_web.responses import json_response

_METADATA_PREFIX = "task_metadata."
_WRITTEN = ("task_id", "task_metadata", "task_eval", "task_eval_source", "task_eval_at")
_MAX_NAMES = 100


class Written(NamedTuple):
    """How many tasks were changed, and why some can't be."""

    changed: int
    errors: list[dict[str, Any]]


class FlatUpdateApi:
    """
    The endpoint that `push_tasks_df` calls.

    As upstream's, it writes a task's metadata and its evaluation. The answer names the other fields that came, which
    nothing can be written to here, the tasks that there are not, and those whose change is refused.
    """

    def __init__(self, services: Services) -> None:
        self._services = services
        self._reads = TaskReads(services.reads.store, services.settings.max_page_bytes)

    def routes(self) -> list[Route]:
        """Return the route."""
        return [Route("/v2/projects/{project_id}/tasks/flat-update", self.update, methods=["POST"])]

    async def update(self, request: Request) -> Response:
        """Change tasks; 200 when the changes are durable. Sent again it changes nothing more."""
        services = self._services
        project_id = await services.access.own_project(request)
        with services.bodies.open(request) as body:
            flat = objects_field(await body.object(), "flattened_tasks", services.settings.max_events)
            changes = changes_of(flat)
            outcome = await self._apply(project_id, changes, services.intake.envelope(request, project_id, "v2"))
        return json_response(outcome | {"ignored_fields": ignored_fields(flat)})

    async def _apply(self, project_id: str, changes: Mapping[str, Change], envelope: Envelope) -> dict[str, Any]:
        """Change as many tasks at a time as fit on a page; return how many were changed, and which are not there."""
        left, found, changed = list(changes), 0, 0
        missing: list[str] = []
        errors: list[dict[str, Any]] = []
        while left:
            tasks, rest = await self._services.reads.run(self._reads.first_of, project_id, left)
            missing += [name for name in left[: len(left) - len(rest)] if name not in tasks]
            found, left = found + len(tasks), rest
            written = await self._write(tasks, changes, envelope)
            changed, errors = changed + written.changed, errors + written.errors
        unchanged = found - changed - len(errors)
        return {"changed": changed, "unchanged": unchanged, "not_found": missing, "errors": errors}

    async def _write(
        self, tasks: Mapping[str, StoredTask], changes: Mapping[str, Change], envelope: Envelope
    ) -> Written:
        """Write the changes of some tasks; a change that is refused harms its own task only."""
        intake, changed = self._services.intake, 0
        messages: list[Keyed] = []
        errors: list[dict[str, Any]] = []
        with self._services.bodies.budget.lease() as lease:
            # In the order in which they were written, which stays the order of those that were logged in one second.
            for task in sorted(tasks.values(), key=lambda task: (task.row["created_at_ms"], task.row["revision"])):
                task_id = task.row["task_id"]
                try:
                    needed, _ = applied(intake, task, changes[task_id], envelope)
                except Problem as problem:
                    errors.append({"task_id": task_id} | problem.body())
                    continue
                lease.grow(sum(len(message.value) for message in needed))
                messages += needed
                changed += bool(needed)
            await intake.publish(messages, "change")
        return Written(changed, errors)


def changes_of(flat: Iterable[dict[str, Any]]) -> dict[str, Change]:
    """
    Return what rows say of each task; of a task in several rows, one for each of its events, the last counts.

    Raises Problem (422).
    """
    return {_task_id(row): _change(row) for row in flat}


def ignored_fields(flat: Iterable[dict[str, Any]]) -> list[str]:
    """Return the names of the fields that say something and are not written."""
    said = {name for row in flat for name, value in row.items() if value is not None}
    return sorted(name for name in said if name not in _WRITTEN and not name.startswith(_METADATA_PREFIX))[:_MAX_NAMES]


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
    return Change(object_field(row, "task_metadata") | metadata, flag or None, None, source or None, made_at_s)
