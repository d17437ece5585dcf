"""The backfills of a project, with their API, /api/v1/backfills, and their page: estimate, start, follow and cancel."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, tzinfo
from functools import partial
from typing import Any, NamedTuple

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute

from phospho_dashboard.auth.visitors import Visitor
from phospho_dashboard.detection import Detection, current_definition, versions_of
from phospho_dashboard.layout.pages import ProjectPage
from phospho_dashboard.queries.zones import zone_of
from phospho_dashboard.services import ApiEndpoints, Endpoints, Services
from phospho_dashboard.web.cache import TimedCache
from phospho_dashboard.web.forms import Form
from phospho_dashboard.web.routes import form_route, page_and_twin
from phospho_dashboard.web.urls import item_path, with_query
from phospho_schemas.messages import EventDefinition
from phospho_schemas.rows.jobs import Backfill
from phospho_schemas.rows.people import Role
from phospho_schemas.times import parsed_end, parsed_time
from phospho_store.jobs.backfills import BackfillRepository
from phospho_web.endpoints import api_endpoint
from phospho_web.openapi import NUMBER, TEXT, TIME, list_of, nullable, object_schema
from phospho_web.problems import Problem
from phospho_web.requests import text_field
from phospho_web.responses import json_response


class TimeRange(NamedTuple):
    """The time of the tasks of a backfill, from `from_at` to before `to_at`; None for an end that is open."""

    from_at: datetime | None
    to_at: datetime | None


_TASKS_BEFORE = """
SELECT count() AS tasks FROM task_rows FINAL
WHERE project_id = {project:String} AND received_at < fromUnixTimestamp64Milli({before_ms:Int64})
"""
_TASKS_BEFORE_TTL_S = 60.0


class Backfills:
    """
    Read, start and cancel the backfills of a project. Blocking; `estimate` for seconds.

    Raises Problem 404 for another project's, and what the store raises.
    """

    def __init__(self, services: Services, detection: Detection) -> None:
        self._store = services.store
        # No later task adds to it, and it reads a column of the whole project.
        self._tasks_before = TimedCache(self._count_before, ttl_s=_TASKS_BEFORE_TTL_S)
        self._registry = services.registry
        self._detection = detection
        self._repository = BackfillRepository(services.store, services.clock)

    def of_project(self, project_id: str) -> list[Backfill]:
        """Return the backfills of a project, the latest first."""
        return self._repository.of_project(project_id)

    def of_event(self, project_id: str, name: str) -> list[dict[str, Any]]:
        """Return the backfills of one definition with their progress, the latest first."""
        backfills = self._repository.of_project(project_id)
        return [with_progress(backfill) for backfill in backfills if backfill.name == name]

    def unchecked_tasks(self, definition: EventDefinition) -> int:
        """Return the number of tasks that arrived before a version, 0 where a backfill has it run on them all."""
        is_run = any(
            backfill.name == definition.name
            and backfill.definition_version == definition.version
            and backfill.status in ("running", "judging", "done")
            and backfill.from_at is None
            and backfill.to_at is None
            for backfill in self._repository.of_project(definition.project_id)
        )
        if is_run:
            return 0
        return self._tasks_before.get((definition.project_id, round(definition.created_at.timestamp() * 1000)))

    def _count_before(self, project_and_time: tuple[str, int]) -> int:
        project_id, before_ms = project_and_time
        [row] = self._store.rows(_TASKS_BEFORE, {"project": project_id, "before_ms": before_ms})
        return int(row["tasks"])

    def backfill(self, project_id: str, backfill_id: str) -> Backfill:
        """Return a backfill."""
        return _existing(self._repository.backfill(project_id, backfill_id), backfill_id)

    def estimate(self, project_id: str, name: str, time_range: TimeRange) -> dict[str, Any]:
        """Return the cost of a backfill of the current version; nothing is started."""
        return self._detection.estimate(current_definition(self._registry, project_id, name), *time_range)

    def start(self, project_id: str, name: str, time_range: TimeRange, author: str) -> Backfill:
        """Start a backfill of the current version, or return the one that runs already."""
        definition = current_definition(self._registry, project_id, name)
        return self._repository.start(definition, time_range.from_at, time_range.to_at, author)

    def cancel(self, project_id: str, backfill_id: str) -> Backfill:
        """Stop a backfill where it is. The events that it has found stay."""
        return _existing(self._repository.cancel(project_id, backfill_id), backfill_id)


def with_progress(backfill: Backfill) -> dict[str, Any]:
    """
    Return a backfill with `share` (0 to 1; None before its tasks are counted) and `seconds_left`, by its pace so far.

    `seconds_left` is None for one that does not run, or has no pace yet.
    """
    row = backfill.model_dump(mode="json", exclude={"revision", "schema_version", "after"})
    share = 1.0 if backfill.status == "done" else backfill.tasks_done / backfill.tasks if backfill.tasks else None
    has_pace = backfill.status == "running" and backfill.tasks_done > 0
    taken_s = (backfill.updated_at - backfill.created_at).total_seconds()
    left_s = taken_s * (backfill.tasks - backfill.tasks_done) / backfill.tasks_done if has_pace else None
    return row | {"share": share, "seconds_left": left_s}


def _existing(backfill: Backfill | None, backfill_id: str) -> Backfill:
    if backfill is None:
        raise Problem(404, "unknown_backfill", f"there is no backfill {backfill_id!r}")
    return backfill


_BACKFILL = object_schema(["backfill"], backfill=Backfill)
_ESTIMATE = object_schema(
    ["tasks", "seconds", "events", "llm_tokens", "sampled_tasks"],
    tasks=NUMBER,
    seconds={"type": "number"},
    events=NUMBER,
    llm_tokens=NUMBER,
    sampled_tasks=NUMBER,
)


class BackfillsApi(ApiEndpoints):
    """The endpoints of backfills."""

    def __init__(self, services: Services, detection: Detection) -> None:
        super().__init__(services)
        self._backfills = Backfills(services, detection)

    @api_endpoint("get", "/backfills", "Backfills, the latest first", list_of("backfills", Backfill))
    async def backfills(self, request: Request) -> Response:
        project_id = await self._access.api_project(request)
        backfills = await self._threads.run(self._backfills.of_project, project_id)
        return json_response({"backfills": [backfill.model_dump(mode="json") for backfill in backfills]})

    @api_endpoint(
        "post",
        "/backfills",
        "Start a backfill",
        _BACKFILL,
        description="Run the current version of a definition over older tasks. A running backfill is not "
        "started twice. With `dry_run` nothing is started, and the answer is an estimate, with "
        "status 200.",
        status=201,
        body=object_schema(
            ["definition"],
            definition=TEXT,
            **{"from": nullable(TIME), "to": nullable(TIME)},
            dry_run={"type": "boolean"},
        ),
        also={200: object_schema(["estimate"], estimate=_ESTIMATE)},
    )
    async def start(self, request: Request) -> Response:
        visitor, project_id = await self._access.api_visitor_and_project(request, "editor")
        content = await self._body(request)
        zone = zone_of(await self._threads.run(self._registry.project, project_id), request)
        name, time_range = text_field(content, "definition"), _time_range(content, zone)
        if content.get("dry_run"):
            estimate = await self._slow_threads.run(
                project_id, partial(self._backfills.estimate, project_id, name, time_range)
            )
            return json_response({"estimate": estimate})
        backfill = await self._threads.run(self._backfills.start, project_id, name, time_range, visitor.author)
        return json_response({"backfill": backfill.model_dump(mode="json")}, 201)

    @api_endpoint("get", "/backfills/{backfill_id}", "Progress of a backfill", _BACKFILL)
    async def backfill(self, request: Request) -> Response:
        return await self._apply_to_backfill(request, "viewer", self._backfills.backfill)

    @api_endpoint(
        "delete",
        "/backfills/{backfill_id}",
        "Cancel a backfill",
        _BACKFILL,
        description="The events that it found stay.",
    )
    async def cancel(self, request: Request) -> Response:
        return await self._apply_to_backfill(request, "editor", self._backfills.cancel)

    async def _apply_to_backfill(
        self, request: Request, role: Role, action: Callable[[str, str], Backfill]
    ) -> Response:
        project_id = await self._access.api_project(request, role)
        backfill = await self._threads.run(action, project_id, request.path_params["backfill_id"])
        return json_response({"backfill": backfill.model_dump(mode="json")})


def _time_range(content: dict[str, Any], zone: tzinfo) -> TimeRange:
    """Return the times `from` and `to` of a body; Problem 422 for an empty range."""
    from_at = _time(content, "from", lambda text: parsed_time(text, zone))
    time_range = TimeRange(from_at, _time(content, "to", lambda text: parsed_end(text, zone)))
    if time_range.from_at is not None and time_range.to_at is not None and time_range.from_at >= time_range.to_at:
        raise Problem(422, "invalid_field", "'from' must be before 'to'")
    return time_range


def _time(content: dict[str, Any], name: str, parse: Callable[[str], datetime | None]) -> datetime | None:
    """Return a time of a body, None where it is missing; Problem 422 for a text that is none."""
    text = content.get(name)
    if text is None:
        return None
    moment = parse(text) if isinstance(text, str) else None
    if moment is None:
        hint = "such as 2026-01-31 or 2026-01-31T10:00:00Z"
        raise Problem(422, "invalid_field", f"{name!r} must be a time in ISO 8601", hint)
    return moment


_PATH = "/definitions/backfill"


class BackfillPages(Endpoints):
    """The page, its twin and its forms. Project and name stand in the query, of the forms too."""

    def __init__(self, services: Services, detection: Detection) -> None:
        super().__init__(services)
        self._backfills = Backfills(services, detection)
        self._page = ProjectPage(services, "events", "definitions/backfill.html")

    def routes(self) -> list[BaseRoute]:
        """Return the routes of backfills. A definition's name, which may be any text, is a parameter and not a path."""
        return [
            *page_and_twin(_PATH, self.read, self.render, ("name",)),
            form_route(_PATH, self.start),
            form_route(f"{_PATH}/cancel", self.cancel),
        ]

    async def read(self, request: Request) -> tuple[Visitor, dict[str, Any]]:
        visitor, project_id = await self._access.page_visitor_and_project(request)
        content = await self._content(project_id, _name(request))
        if "saved" in request.query_params and content["unchecked_tasks"]:
            name, everything = content["name"], TimeRange(None, None)
            content["estimate"] = await self._slow_threads.run(
                project_id, partial(self._backfills.estimate, project_id, name, everything)
            )
        return visitor, content

    async def render(
        self,
        request: Request,
        visitor: Visitor,
        content: dict[str, Any],
        *,
        typed: dict[str, str] | None = None,
        estimate: dict[str, Any] | None = None,
        problem: Problem | None = None,
    ) -> Response:
        form = {
            "typed": typed or {"from": "", "to": ""},
            "estimate": estimate,
            "is_saved": "saved" in request.query_params,
        }
        return await self._page.render(request, visitor, form | content, problem=problem)

    async def start(self, request: Request) -> Response:
        """Start a backfill, or show an estimate where the form asks for one."""
        visitor, project_id, form = await self._access.form_visitor_and_project(request, "editor")
        name = _name(request)
        typed = {"from": form.text("from"), "to": form.text("to")}
        try:
            zone = zone_of(await self._threads.run(self._registry.project, project_id), request)
            time_range = _days_of(form, zone)
            if form.text("do") == "estimate":
                estimate = await self._slow_threads.run(
                    project_id, partial(self._backfills.estimate, project_id, name, time_range)
                )
                content = await self._content(project_id, name)
                return await self.render(request, visitor, content, typed=typed, estimate=estimate)
            await self._threads.run(self._backfills.start, project_id, name, time_range, visitor.author)
        except Problem as problem:
            if problem.status == 404:
                raise
            content = await self._content(project_id, name)
            return await self.render(request, visitor, content, typed=typed, problem=problem)
        return RedirectResponse(with_query(item_path("/events", name), {"project": project_id}), 303)

    async def cancel(self, request: Request) -> Response:
        _, project_id, form = await self._access.form_visitor_and_project(request, "editor")
        await self._threads.run(self._backfills.cancel, project_id, form.text("backfill_id"))
        return _to_page(project_id, _name(request))

    async def _content(self, project_id: str, name: str) -> dict[str, Any]:
        latest = (await self._threads.run(versions_of, self._registry, project_id, name))[0]
        backfills = await self._threads.run(self._backfills.of_event, project_id, name)
        version = None if latest.is_deleted else latest.version
        unchecked = 0 if latest.is_deleted else await self._threads.run(self._backfills.unchecked_tasks, latest)
        content = {"project_id": project_id, "name": name, "version": version, "unchecked_tasks": unchecked}
        return content | {"backfills": backfills}


def _name(request: Request) -> str:
    return request.query_params.get("name", "")


def _to_page(project_id: str, name: str) -> Response:
    return RedirectResponse(with_query(_PATH, {"project": project_id, "name": name}), 303)


def _days_of(form: Form, zone: tzinfo) -> TimeRange:
    """Return the time range of a form; its days are those of `zone`, the last one included."""
    first, last = _day(form.text("from")), _day(form.text("to"))
    if first and last and last < first:
        raise Problem(422, "invalid_field", "the last day is before the first one")
    return TimeRange(parsed_time(first, zone) if first else None, parsed_end(last, zone) if last else None)


def _day(text: str) -> str:
    day = parsed_time(text) if len(text) == len("2026-01-31") else None
    if text and (day is None or not 1900 <= day.year < 2300):
        raise Problem(422, "invalid_field", "a day is written such as 2026-01-31")
    return text
