"""The pages of a definition: write or change it, with a preview on recent tasks; its versions."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, get_args

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from phospho_dashboard.auth.access import Access
from phospho_dashboard.auth.visitors import Visitor
from phospho_dashboard.definitions.definitions import (
    DEFINITION_FIELDS,
    DefinitionTrials,
    changes,
    check_name,
    checked_definition,
    current_definition,
)
from phospho_dashboard.definitions.preview_api import previewed
from phospho_dashboard.layout.confirmation import Confirming, Question, is_confirmed
from phospho_dashboard.layout.frames import frame_of
from phospho_dashboard.services import Services
from phospho_dashboard.web.forms import Form
from phospho_dashboard.web.rendering import page_response, paged
from phospho_dashboard.web.urls import item_path, with_query
from phospho_schemas.definitions import by_look
from phospho_schemas.engines import ENGINE_SPECS, unread_fields
from phospho_schemas.messages import EventDefinition, JudgeChoice, Scope, ScoreRange
from phospho_web.problems import Problem
from phospho_web.responses import json_response, with_json_errors

_PATH = "/definitions"
_MAX_TEXT_CHARACTERS = 200_000

_CHOICES = {
    "engines": list(ENGINE_SPECS),
    "engine_classes": {
        name: " ".join(f"reads-{field}" for field in sorted(spec.own_fields)) for name, spec in ENGINE_SPECS.items()
    },
    "scopes": get_args(Scope),
    "judges": get_args(JudgeChoice),
    "score_types": get_args(ScoreRange.model_fields["type"].annotation),
}


def definition_routes(services: Services) -> list[Route]:
    """Return the routes of definitions. A name, which may be any text, is a parameter and not a path."""
    pages = DefinitionPages(services)
    return [
        Route(_PATH, paged(pages.page)),
        Route(f"{_PATH}.json", with_json_errors(pages.twin)),
        Route(_PATH, paged(pages.save), methods=["POST"]),
        Route(f"{_PATH}/threshold", paged(pages.use_threshold), methods=["POST"]),
        Route(f"{_PATH}/delete", paged(pages.delete), methods=["POST"]),
    ]


class DefinitionPages:
    """The pages, their twins and the form."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._registry = services.registry
        self._threads = services.threads
        self._access = Access(services)
        self._trials = DefinitionTrials(services.store)
        self._confirming = Confirming(services)

    async def page(self, request: Request) -> Response:
        visitor, project_id = await self._reader(request)
        known = await self._threads.run(self._read, project_id, request.query_params.get("name", ""))
        return await self._shown(visitor, project_id, known, known["definition"] or _blank(project_id))

    async def twin(self, request: Request) -> Response:
        _, project_id = await self._reader(request)
        return json_response(await self._threads.run(self._read, project_id, request.query_params.get("name", "")))

    async def save(self, request: Request) -> Response:
        """Store the definition, or, where the form asks for it, show what it would find."""
        visitor, form = await self._access.of_form(request)
        project_id = await self._access.project_id(visitor, form.text("project") or None)
        wanted = _wanted(form)
        known = await self._threads.run(self._read, project_id, wanted["name"], is_needed=False)
        base_version = _base_version(form)
        if base_version == 0:
            # One of this name, which somebody else has made, is not what the form is about.
            known = {"project_id": project_id, "definition": None, "versions": []}
        try:
            definition = await self._threads.run(self._checked, project_id, wanted)
            if form.text("do") == "preview":
                found = await self._threads.run(previewed, self._services, definition)
                return await self._shown(visitor, project_id, known, wanted, preview=found, base_version=base_version)
            saved = await self._threads.run(self._registry.save_definition, definition, base_version)
        except Problem as problem:
            # Who was told that there is a newer version may save theirs after it.
            base = None if problem.code == "changed_meanwhile" else base_version
            return await self._shown(visitor, project_id, known, wanted, problem=problem, base_version=base)
        return RedirectResponse(with_query(item_path("/events", saved.name), {"project": project_id}), 303)

    async def delete(self, request: Request) -> Response:
        visitor, form = await self._access.of_form(request)
        project_id = await self._access.project_id(visitor, form.text("project") or None)
        name = form.raw("name")
        if not is_confirmed(form):
            question = await self._threads.run(self._of_deleting, project_id, name)
            return await self._confirming.page(request, visitor, "events", project_id, question, form)
        if not await self._threads.run(self._registry.delete_definition, project_id, name):
            raise Problem(404, "unknown_definition", f"there is no definition {name!r}")
        return RedirectResponse(with_query("/events", {"project": project_id}), 303)

    async def use_threshold(self, request: Request) -> Response:
        """Store a definition with another threshold, as a new version of the one that the threshold was told for."""
        visitor, form = await self._access.of_form(request)
        project_id = await self._access.project_id(visitor, form.text("project") or None)
        name, version, threshold = form.raw("name"), form.text("version"), form.text("threshold")
        await self._threads.run(self._with_threshold, project_id, name, version, threshold)
        return RedirectResponse(with_query(item_path("/events", name), {"project": project_id}), 303)

    async def _reader(self, request: Request) -> tuple[Visitor, str]:
        visitor = await self._access.of_page(request)
        return visitor, await self._access.project_id(visitor, request.query_params.get("project") or None)

    def _read(self, project_id: str, name: str, *, is_needed: bool = True) -> dict[str, Any]:
        """Return a definition as it is now, None for a new one or one that was deleted, and its versions."""
        versions = self._registry.definition_versions(project_id, name) if name else []
        if name and not versions and is_needed:
            raise Problem(404, "unknown_definition", f"there is no definition {name!r} in this project")
        current = versions[0] if versions and not versions[0].is_deleted else None
        definition = current.model_dump(mode="json") if current is not None else None
        return {"project_id": project_id, "definition": definition, "versions": changes(versions)}

    def _with_threshold(self, project_id: str, name: str, version: str, threshold: str) -> None:
        known = current_definition(self._registry, project_id, name)
        if version != str(known.version):
            raise Problem(409, "changed_meanwhile", f"it has version {known.version} now", "look at its page again")
        wanted = known.model_dump(mode="json", include=set(DEFINITION_FIELDS)) | {"threshold": threshold}
        changed = checked_definition(project_id, wanted, self._services.check_definition)
        self._registry.save_definition(changed, known.version)

    def _checked(self, project_id: str, wanted: dict[str, Any]) -> EventDefinition:
        # The form hides what the engine does not read, with what was written there for another engine.
        read = {field: value for field, value in wanted.items() if field not in unread_fields(wanted["engine"])}
        definition = checked_definition(project_id, read, self._services.check_definition)
        check_name(definition.name, by_look(one.name for one in self._registry.definitions(project_id)))
        return definition

    def _of_deleting(self, project_id: str, name: str) -> Question:
        version = current_definition(self._registry, project_id, name).version
        tasks = self._trials.found_in(project_id, name)
        effects = (
            "It is looked for no longer, from the next task on.",
            f"What it found, in {tasks:,} {'task' if tasks == 1 else 'tasks'}, stays until they are analysed again.",
            f"Its page keeps what each of its versions was, up to version {version}.",
        )
        back = with_query(_PATH, {"project": project_id, "name": name})
        return Question(f"Delete the definition {name}?", effects, f"Delete {name}", back)

    async def _around(self, visitor: Visitor, project_id: str) -> dict[str, Any]:
        projects = await self._access.projects(visitor)
        return {"frame": frame_of("events", visitor, project_id, projects, self._services.settings.base_url, {})}

    async def _shown(
        self,
        visitor: Visitor,
        project_id: str,
        known: dict[str, Any],
        shown: dict[str, Any],
        *,
        preview: dict[str, Any] | None = None,
        problem: Problem | None = None,
        base_version: int | None = None,
    ) -> Response:
        """Show the form; what it saves is a change of `base_version`, the one that is stored unless it says another."""
        current = known["definition"]["version"] if known["definition"] else 0
        content = known | {
            "shown": shown,
            "preview": preview,
            "problem": problem,
            "base_version": current if base_version is None else base_version,
            "can_preview": self._services.preview is not None,
            "label_event": shown["name"],
        }
        around = await self._around(visitor, project_id)
        status = 200 if problem is None else problem.status
        return page_response("definitions/definition.html", around | content | _CHOICES, status)


def _blank(project_id: str) -> dict[str, Any]:
    """Return what the form of a new definition shows: every field as it is by default."""
    default = EventDefinition.model_validate({"project_id": project_id, "name": "-", "created_at": datetime.now(UTC)})
    return default.model_dump(mode="json") | {"name": ""}


def _base_version(form: Form) -> int:
    text = form.text("base_version")
    if not text.isdecimal() or len(text) > 9:
        raise Problem(
            422, "invalid_field", "'base_version' must be the version that was changed, or 0", "open it again"
        )
    return int(text)


def _wanted(form: Form) -> dict[str, Any]:
    """Return what a form says, in the words of the API; a keyword is a line."""
    return {
        "name": form.text("name"),
        "description": form.text("description", 4000),
        "engine": form.text("engine"),
        "scope": form.text("scope"),
        "keywords": _lines(form, "keywords"),
        "pattern": form.raw("pattern", 4000),
        "threshold": form.text("threshold") or None,
        "is_last_task": bool(form.text("is_last_task")),
        "context_turns": form.text("context_turns") or 0,
        "score_range": {
            "type": form.text("score_type") or "confidence",
            "min": form.text("score_min") or 0,
            "max": form.text("score_max") or 1,
            "categories": _lines(form, "categories"),
        },
        "judge": form.text("judge") or "project",
    }


def _lines(form: Form, name: str) -> list[str]:
    return [line.strip() for line in form.text(name, _MAX_TEXT_CHARACTERS).split("\n") if line.strip()]
