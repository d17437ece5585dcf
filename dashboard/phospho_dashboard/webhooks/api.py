"""What jobs do, by the API: backfills and their progress, diffs of versions, webhooks, and closed sessions."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from phospho_dashboard.annotations.annotations import author
from phospho_dashboard.auth.access import Access
from phospho_dashboard.definitions.backfills import BackfillDesk
from phospho_dashboard.definitions.definitions import checked_definition, current_definition, versions_of
from phospho_dashboard.job_tools import Attempt
from phospho_dashboard.services import Services
from phospho_dashboard.web.routes import api_route
from phospho_dashboard.webhooks.webhooks import MAX_EVENT_NAMES, MAX_URL_CHARACTERS, WebhookDesk, public_webhook
from phospho_schemas.messages import Backfill, EventDefinition
from phospho_schemas.people import Role
from phospho_schemas.times import parsed_time
from phospho_web.access import PROJECT_HEADER
from phospho_web.bodies import read_object, text_field
from phospho_web.problems import Problem
from phospho_web.responses import json_response

_DEFAULT_DIFF_TASKS = 2_000
_MAX_DIFF_TASKS = 20_000
_TO_LABEL = 20


def job_routes(services: Services) -> list[BaseRoute]:
    """Return the routes under /api/v1 of what jobs do. Every answer and every error is JSON."""
    versions, webhooks = VersionsApi(services), WebhooksApi(services)
    return [
        api_route("GET", "/backfills", versions.backfills),
        api_route("POST", "/backfills", versions.start_backfill),
        api_route("GET", "/backfills/{backfill_id}", versions.backfill),
        api_route("DELETE", "/backfills/{backfill_id}", versions.cancel_backfill),
        api_route("GET", "/definitions/{name:any_text}/history", versions.history),
        api_route("POST", "/definitions/{name:any_text}/diff", versions.diff),
        api_route("GET", "/definitions/{name:any_text}/learning", versions.learning),
        api_route("POST", "/sessions/{session_id:any_text}/close", versions.close_session),
        api_route("GET", "/webhooks", webhooks.webhooks),
        api_route("POST", "/webhooks", webhooks.add),
        api_route("DELETE", "/webhooks/{webhook_id}", webhooks.remove),
        api_route("POST", "/webhooks/{webhook_id}/test", webhooks.test),
        api_route("POST", "/webhooks/{webhook_id}/send-again", webhooks.send_again),
    ]


class VersionsApi:
    """The endpoints of backfills, of versions of definitions, and of sessions that somebody closes."""

    def __init__(self, services: Services) -> None:
        self._registry = services.registry
        self._check = services.check_definition
        self._tools = services.tools
        self._desk = BackfillDesk(services.registry, services.tools)
        self._threads = services.threads
        # Detection on thousands of tasks takes seconds: it may not hold up who waits for a page.
        self._slow_threads = services.slow_threads
        self._access = Access(services)
        self._max_body_bytes = services.settings.max_body_bytes

    async def backfills(self, request: Request) -> Response:
        project_id = await self._access.of_api_project(request)
        found = await self._threads.run(self._tools.backfills.of_project, project_id)
        return json_response({"backfills": [one.model_dump(mode="json") for one in found]})

    async def start_backfill(self, request: Request) -> Response:
        visitor = await self._access.of_api(request, "editor")
        project_id = await self._access.project_id(visitor, request.headers.get(PROJECT_HEADER))
        content = await read_object(request, self._max_body_bytes)
        name, span = text_field(content, "definition"), _span(content)
        if content.get("dry_run"):
            estimate = await self._slow_threads.run(self._desk.estimate, project_id, name, *span)
            return json_response({"estimate": estimate})
        started = await self._threads.run(self._desk.start, project_id, name, *span, author(visitor))
        return json_response({"backfill": started.model_dump(mode="json")}, 201)

    async def backfill(self, request: Request) -> Response:
        return await self._one_backfill(request, "viewer", self._desk.one)

    async def cancel_backfill(self, request: Request) -> Response:
        return await self._one_backfill(request, "editor", self._desk.cancel)

    async def _one_backfill(self, request: Request, needs: Role, call: Callable[[str, str], Backfill]) -> Response:
        project_id = await self._access.of_api_project(request, needs)
        found = await self._threads.run(call, project_id, request.path_params["backfill_id"])
        return json_response({"backfill": found.model_dump(mode="json")})

    async def history(self, request: Request) -> Response:
        project_id = await self._access.of_api_project(request)
        versions = await self._threads.run(versions_of, self._registry, project_id, request.path_params["name"])
        return json_response({"versions": [one.model_dump(mode="json") for one in versions]})

    async def diff(self, request: Request) -> Response:
        """Compare a definition that is given with the stored one, or the stored one with the version before it."""
        project_id = await self._access.of_api_project(request, "editor")
        name = request.path_params["name"]
        content = await read_object(request, self._max_body_bytes)
        tasks = content.get("tasks", _DEFAULT_DIFF_TASKS)
        if not isinstance(tasks, int) or isinstance(tasks, bool) or not 0 < tasks <= _MAX_DIFF_TASKS:
            raise Problem(422, "invalid_field", f"'tasks' must be a number from 1 to {_MAX_DIFF_TASKS}")
        old, new = await self._threads.run(self._compared, project_id, name, content.get("definition"))
        told = await self._slow_threads.run(self._tools.diff, old, new, tasks)
        versions = {"from_version": old.version if old else None, "to_version": new.version}
        return json_response({"name": name, **versions, **told})

    async def learning(self, request: Request) -> Response:
        """Tell what a definition's labels have taught it, how good they say it is, and which tasks to label next."""
        project_id = await self._access.of_api_project(request)
        definition = await self._threads.run(
            current_definition, self._registry, project_id, request.path_params["name"]
        )
        classifier = await self._threads.run(self._tools.classifiers.classifier, project_id, definition.name)
        queue = await self._slow_threads.run(self._tools.label_queue, project_id, definition.name, _TO_LABEL)
        return json_response(
            {
                "name": definition.name,
                "version": definition.version,
                "classifier_version": classifier.version if classifier else None,
                "quality": orjson.loads(classifier.quality) if classifier else None,
                "tasks_to_label": queue,
            }
        )

    async def close_session(self, request: Request) -> Response:
        project_id = await self._access.of_api_project(request, "editor")
        session_id = request.path_params["session_id"]
        closing = await self._threads.run(self._tools.closings.close, project_id, session_id)
        if closing is None:
            raise Problem(404, "unknown_session", f"there is no session {session_id!r}")
        return json_response({"closing": closing.model_dump(mode="json", exclude={"revision"})})

    def _compared(self, project_id: str, name: str, wanted: Any) -> tuple[EventDefinition | None, EventDefinition]:
        known = [one for one in self._registry.definition_versions(project_id, name) if not one.is_deleted]
        if wanted is None:
            latest = current_definition(self._registry, project_id, name)
            return next(iter(known[1:]), None), latest
        named = wanted | {"name": name} if isinstance(wanted, dict) else wanted
        new = checked_definition(project_id, named, self._check)
        version = known[0].version + 1 if known else 1
        return next(iter(known), None), new.model_copy(update={"version": version})


class WebhooksApi:
    """The endpoints of webhooks. A secret is told once, to who adds the webhook."""

    def __init__(self, services: Services) -> None:
        self._desk = WebhookDesk(services.tools, services.registry)
        self._threads = services.threads
        self._slow_threads = services.slow_threads
        self._access = Access(services)
        self._max_body_bytes = services.settings.max_body_bytes

    async def webhooks(self, request: Request) -> Response:
        visitor = await self._access.of_api(request)
        project_id = await self._access.project_id(visitor, request.headers.get(PROJECT_HEADER))
        return json_response({"webhooks": await self._threads.run(self._desk.listed, project_id, visitor)})

    async def add(self, request: Request) -> Response:
        visitor = await self._access.of_api(request, "admin")
        project_id = await self._access.project_id(visitor, request.headers.get(PROJECT_HEADER))
        content = await read_object(request, self._max_body_bytes)
        url, names = text_field(content, "url", max_length=MAX_URL_CHARACTERS), content.get("events", [])
        if not _are_names(names):
            raise Problem(422, "invalid_field", f"'events' must be a list of at most {MAX_EVENT_NAMES} names")
        with_evidence = content.get("evidence", False)
        if not isinstance(with_evidence, bool):
            raise Problem(422, "invalid_field", "'evidence' must be true or false")
        webhook, secret = await self._threads.run(
            self._desk.added, project_id, url, names, author(visitor), with_evidence
        )
        return json_response({"webhook": public_webhook(webhook), "secret": secret}, 201)

    async def remove(self, request: Request) -> Response:
        project_id = await self._access.of_api_project(request, "admin")
        await self._threads.run(self._desk.removed, project_id, request.path_params["webhook_id"])
        return Response(status_code=204)

    async def test(self, request: Request) -> Response:
        project_id = await self._access.of_api_project(request, "admin")
        attempt = await self._slow_threads.run(self._desk.tried, project_id, request.path_params["webhook_id"])
        return json_response({"is_delivered": 200 <= attempt.status < 300, "status": attempt.status} | _why(attempt))

    async def send_again(self, request: Request) -> Response:
        project_id = await self._access.of_api_project(request, "admin")
        deliveries = await self._threads.run(self._desk.sent_again, project_id, request.path_params["webhook_id"])
        return json_response({"deliveries": deliveries}, 202)


def _span(content: dict[str, Any]) -> tuple[datetime | None, datetime | None]:
    """Return from when on to before when, None for an end that is open; Problem 422 where no time is in between."""
    from_at, to_at = _time(content, "from"), _time(content, "to")
    if from_at is not None and to_at is not None and from_at >= to_at:
        raise Problem(422, "invalid_field", "'from' must be before 'to'")
    return from_at, to_at


def _time(content: dict[str, Any], name: str) -> datetime | None:
    """Return a time of a body, in UTC where it names no zone; None where it is not given."""
    text = content.get(name)
    if text is None:
        return None
    moment = parsed_time(text) if isinstance(text, str) else None
    if moment is None:
        hint = "such as 2026-01-31 or 2026-01-31T10:00:00Z"
        raise Problem(422, "invalid_field", f"{name!r} must be a time in ISO 8601", hint)
    return moment


def _are_names(names: Any) -> bool:
    is_list = isinstance(names, list) and len(names) <= MAX_EVENT_NAMES
    return is_list and all(isinstance(name, str) and 0 < len(name) <= 128 for name in names)


def _why(attempt: Attempt) -> dict[str, str]:
    return {"detail": attempt.detail} if attempt.detail else {}
