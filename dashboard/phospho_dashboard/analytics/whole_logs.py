"""Whole logs: what a client logged of a task that is larger than a message, put together from its parts."""

from __future__ import annotations

from collections.abc import Generator
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from phospho_dashboard.services import ApiEndpoints, Services
from phospho_store.store import Store
from phospho_web.endpoints import api_endpoint
from phospho_web.openapi import ANY_OBJECT
from phospho_web.problems import Problem
from phospho_web.responses import with_json_errors
from phospho_web.threads import joined, stream_chunks

_TASK = """
SELECT whole_log_id FROM task_rows FINAL WHERE project_id = {project:String} AND task_id = {task:String}
"""
_OF_LOG = """
FROM log_part_rows FINAL
WHERE project_id = {project:String} AND task_id = {task:String} AND whole_log_id = {log:String}
"""
_PARTS = "SELECT count() AS stored, max(parts) AS parts" + _OF_LOG
_TEXT = "SELECT text" + _OF_LOG + " AND part = {part:UInt32}"


class WholeLogs:
    """Read whole logs. Blocking; holds one part at a time."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def chunks(self, project_id: str, task_id: str) -> Generator[bytes, None, None]:
        """Yield the JSON. Raises Problem before the first chunk: 404 without such a log, 503 while parts come in."""
        parameters = {"project": project_id, "task": task_id}
        tasks = self._store.rows(_TASK, parameters)
        if not tasks or not tasks[0]["whole_log_id"]:
            hint = "read the task itself: it has all that was logged" if tasks else "list tasks to find its id"
            raise Problem(404, "no_whole_log", f"there is no separate log of the task {task_id!r}", hint)
        parameters["log"] = tasks[0]["whole_log_id"]
        counts = self._store.rows(_PARTS, parameters)[0]
        if not int(counts["parts"]) or int(counts["stored"]) < int(counts["parts"]):
            detail = f"{counts['stored']} of {counts['parts']} parts of the log are stored"
            raise Problem(503, "incomplete_log", detail, "try again in a moment", retry_after_s=2)
        for part in range(int(counts["parts"])):
            yield self._store.rows(_TEXT, parameters | {"part": part})[0]["text"].encode()


class WholeLogsApi(ApiEndpoints):
    """The endpoints of whole logs, on the connections and threads of exports."""

    def __init__(self, services: Services) -> None:
        super().__init__(services)
        self._logs = WholeLogs(services.export_store)

    @api_endpoint(
        "get",
        "/task-logs/{task_id:any_text}",
        "All that was logged of a large task",
        ANY_OBJECT,
        description="For a task with a `whole_log_id`, whose texts are beginnings.",
    )
    async def log(self, request: Request) -> Response:
        """Return the log as JSON, part by part."""
        return await self._streamed(await self._access.api_project(request), request.path_params["task_id"])

    def page_routes(self) -> list[BaseRoute]:
        """Return the route of the file that the task's page links to."""

        async def file(request: Request) -> Response:
            _, project_id = await self._access.page_visitor_and_project(request)
            return await self._streamed(project_id, request.path_params["task_id"])

        return [Route("/task-logs/{task_id:any_text}", with_json_errors(file))]

    async def _streamed(self, project_id: str, task_id: str) -> Response:
        services, settings = self._services, self._services.settings
        chunks = self._logs.chunks(project_id, task_id)
        body = stream_chunks(services.export_threads, chunks, settings.export_stall_s, settings.export_timeout_s)
        first = await anext(body)
        headers = {
            "Cache-Control": "no-store",
            "Content-Disposition": f"attachment; filename*=UTF-8''{quote(task_id[:100], safe='')}.json",
            "X-Content-Type-Options": "nosniff",
        }
        return StreamingResponse(joined(first, body), headers=headers, media_type="application/json")
