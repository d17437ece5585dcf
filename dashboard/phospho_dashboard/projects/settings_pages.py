"""The settings of a project, its keys, and the list of projects."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from phospho_dashboard.auth.access import Access
from phospho_dashboard.auth.visitors import Visitor
from phospho_dashboard.definitions.registry_api import public_key
from phospho_dashboard.layout.confirmation import Confirming, Question, is_confirmed
from phospho_dashboard.layout.settings_frame import SettingsFrames
from phospho_dashboard.projects.projects import changed_project, created_project
from phospho_dashboard.services import Services
from phospho_dashboard.web.forms import Form
from phospho_dashboard.web.rendering import paged
from phospho_dashboard.web.urls import with_query
from phospho_schemas.messages import ProjectSettings
from phospho_store.retention import expired_tasks
from phospho_web.problems import Problem
from phospho_web.responses import json_response, with_json_errors

_PROJECT, _KEYS, _PROJECTS = "/settings", "/settings/keys", "/settings/projects"

# Of a number of days; Project bounds it, once it is one.
_MAX_DIGITS = 5

# How each setting reads. One that is not here yet is shown under its own name.
_LABELS = {
    "detect_events": "Find events",
    "detect_sentiment": "Tell the sentiment",
    "detect_language": "Tell the language",
    "session_idle_minutes": "Minutes of silence",
    "llm_daily_tokens": "Tokens for LLMs",
    "llm_daily_usd": "US dollars for LLMs",
    "llm_sample": "Sample for LLMs",
    "webhook_wait_s": "Seconds that webhooks wait",
    "max_tasks_per_day": "Tasks a day",
}

_FIELDS: list[dict[str, Any]] = [
    {
        "name": name,
        "label": _LABELS.get(name, name),
        "hint": field.description or "",
        "is_switch": field.annotation is bool,
    }
    for name, field in ProjectSettings.model_fields.items()
]
# What a form says of a project beside its settings; and before a field's name, that of what it was shown with.
_OWN = ("name", "retention_days")
_WAS = "was_"


def settings_routes(services: Services) -> list[Route]:
    """Return the routes of a project's settings, of keys and of projects."""
    pages = SettingsPages(services)
    return [
        Route(_PROJECT, paged(pages.project_page)),
        Route(f"{_PROJECT}.json", with_json_errors(pages.project_twin)),
        Route(_PROJECT, paged(pages.change_project), methods=["POST"]),
        Route(_KEYS, paged(pages.keys_page)),
        Route(f"{_KEYS}.json", with_json_errors(pages.keys_twin)),
        Route(_KEYS, paged(pages.create_key), methods=["POST"]),
        Route(f"{_KEYS}/revoke", paged(pages.revoke_key), methods=["POST"]),
        Route(_PROJECTS, paged(pages.projects_page)),
        Route(f"{_PROJECTS}.json", with_json_errors(pages.projects_twin)),
        Route(_PROJECTS, paged(pages.create_project), methods=["POST"]),
    ]


class SettingsPages:
    """The pages, their twins and what their forms do."""

    def __init__(self, services: Services) -> None:
        self._store = services.store
        self._registry = services.registry
        self._threads = services.threads
        self._access = Access(services)
        self._frames = SettingsFrames(services)
        self._confirming = Confirming(services)

    async def project_page(self, request: Request) -> Response:
        return await self._project_shown(request, await self._access.of_page(request), None)

    async def project_twin(self, request: Request) -> Response:
        visitor = await self._access.of_page(request)
        return json_response(await self._project(await self._frames.project_id(request, visitor)))

    async def change_project(self, request: Request) -> Response:
        """Change what the form says otherwise than it was shown: what somebody else changes meanwhile stays."""
        visitor, form = await self._access.of_form(request, "admin")
        project_id = await self._frames.project_id(request, visitor)
        changes = _changes(form)
        question = await self._threads.run(self._of_shortening, project_id, changes.get("retention_days", ""))
        if question is not None and not is_confirmed(form):
            return await self._confirming.page(request, visitor, "settings", project_id, question, form)
        try:
            await self._threads.run(changed_project, self._registry, project_id, changes)
        except Problem as problem:
            return await self._project_shown(request, visitor, problem, form)
        return RedirectResponse(with_query(_PROJECT, {"project": project_id}), 303)

    async def keys_page(self, request: Request) -> Response:
        return await self._keys_shown(request, await self._access.of_page(request), None)

    async def keys_twin(self, request: Request) -> Response:
        visitor = await self._access.of_page(request)
        return json_response(await self._keys(await self._frames.project_id(request, visitor)))

    async def create_key(self, request: Request) -> Response:
        """Make a key, and show it: this page, which no cache keeps, is the only place where it ever stands."""
        visitor, form = await self._access.of_form(request, "admin")
        project_id = await self._frames.project_id(request, visitor)
        new = await self._threads.run(self._registry.create_key, project_id, form.text("name", 128))
        content = await self._keys(project_id) | {"new_key": {"name": new.key.name, "api_key": new.secret}}
        return await self._frames.shown(request, visitor, "keys", "projects/keys.html", content, status=201)

    async def revoke_key(self, request: Request) -> Response:
        visitor, form = await self._access.of_form(request, "admin")
        project_id, key_id = await self._frames.project_id(request, visitor), form.text("key_id")
        if not is_confirmed(form):
            question = await self._threads.run(self._of_revoking, project_id, key_id)
            return await self._confirming.page(request, visitor, "settings", project_id, question, form)
        if await self._threads.run(self._registry.revoke_key, project_id, key_id) is None:
            raise _unknown_key()
        return RedirectResponse(with_query(_KEYS, {"project": project_id}), 303)

    async def projects_page(self, request: Request) -> Response:
        return await self._projects_shown(request, await self._access.of_page(request), None)

    async def projects_twin(self, request: Request) -> Response:
        return json_response(await self._projects(await self._access.of_page(request)))

    async def create_project(self, request: Request) -> Response:
        visitor, form = await self._access.of_form(request, "admin")
        if not visitor.is_admin:
            raise Problem(403, "admin_only", "a project's key can't create projects")
        wanted = {"project_id": form.text("project_id"), "name": form.text("name")}
        try:
            made = await self._threads.run(created_project, self._registry, wanted)
        except Problem as problem:
            return await self._projects_shown(request, visitor, problem)
        return RedirectResponse(with_query(_KEYS, {"project": made.project_id}), 303)

    def _of_revoking(self, project_id: str, key_id: str) -> Question:
        key = next((key for key in self._registry.keys(project_id) if key.key_id == key_id), None)
        if key is None:
            raise _unknown_key()
        name = f"{key.name} ({key.prefix}…)" if key.name else f"{key.prefix}…"
        effects = ("What logs with it is refused within seconds.", "A revoked key can't be brought back.")
        back = with_query(_KEYS, {"project": project_id})
        return Question(f"Revoke the key {name}?", effects, "Revoke it", back)

    def _of_shortening(self, project_id: str, wanted: str) -> Question | None:
        """Return what to ask where tasks are to be kept for `wanted` days, fewer than they are now."""
        known = self._registry.project(project_id)
        days = int(wanted) if wanted.isdecimal() and len(wanted) <= _MAX_DIGITS else 0
        if known is None or not days or 0 < known.retention_days <= days:
            return None
        tasks = expired_tasks(self._store, project_id, days, datetime.now(UTC))
        one_or_more = "1 task is older and goes" if tasks == 1 else f"{tasks:,} tasks are older and go"
        before = f"{known.retention_days} days" if known.retention_days else "ever"
        effects = (
            f"{one_or_more} within the hour, with analyses, feedback and all else that was said of them.",
            f"Until now they are kept for {before}. What is deleted can't be brought back.",
        )
        back = with_query(_PROJECT, {"project": project_id})
        return Question(f"Delete what is older than {days} days?", effects, "Save, and delete them", back)

    async def _project_shown(
        self, request: Request, visitor: Visitor, problem: Problem | None, typed: Form | None = None
    ) -> Response:
        """Show the settings as they are stored, or, after a refusal, as they were typed."""
        known = await self._project(await self._frames.project_id(request, visitor))
        stored = _texts(known["project"])
        shown = stored if typed is None else {name: typed.text(name) for name in stored}
        was = stored if typed is None else {name: typed.text(_WAS + name) for name in stored}
        content = known | {"fields": _FIELDS, "shown": shown, "was": was}
        return await self._frames.shown(request, visitor, "project", "projects/project_settings.html", content, problem)

    async def _keys_shown(self, request: Request, visitor: Visitor, problem: Problem | None) -> Response:
        content = await self._keys(await self._frames.project_id(request, visitor)) | {"new_key": None}
        return await self._frames.shown(request, visitor, "keys", "projects/keys.html", content, problem)

    async def _projects_shown(self, request: Request, visitor: Visitor, problem: Problem | None) -> Response:
        content = await self._projects(visitor) | {"may_add": visitor.is_admin}
        return await self._frames.shown(request, visitor, "projects", "projects/projects.html", content, problem)

    async def _project(self, project_id: str) -> dict[str, Any]:
        project = await self._threads.run(self._registry.project, project_id)
        return {"project": project.model_dump(mode="json") if project is not None else None}

    async def _keys(self, project_id: str) -> dict[str, Any]:
        found = await self._threads.run(self._registry.keys, project_id)
        return {"project_id": project_id, "keys": [public_key(key) for key in found]}

    async def _projects(self, visitor: Visitor) -> dict[str, Any]:
        return {"projects": [project.model_dump(mode="json") for project in await self._access.projects(visitor)]}


def _unknown_key() -> Problem:
    return Problem(404, "unknown_key_id", "there is no such key in this project")


def _texts(project: Mapping[str, Any]) -> dict[str, str]:
    """Return the text of each field of a project; that of a switch is "1", or nothing where it is off."""
    settings = {name: _text(value) for name, value in project["settings"].items()}
    return {"name": project["name"], "retention_days": str(project["retention_days"])} | settings


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "1" if value else ""
    return str(value)


def _changes(form: Form) -> dict[str, Any]:
    """Return the fields that differ from what the form was shown with: of a switch that is off nothing is sent."""
    switches = {field["name"] for field in _FIELDS if field["is_switch"]}
    names = [*_OWN, *(field["name"] for field in _FIELDS)]
    changed = {name: form.text(name) for name in names if form.text(name) != form.text(_WAS + name)}
    settings = {name: bool(text) if name in switches else text for name, text in changed.items() if name not in _OWN}
    return {name: text for name, text in changed.items() if name in _OWN} | {"settings": settings}
