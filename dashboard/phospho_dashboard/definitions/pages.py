"""The page of a definition: the form to write or change it, with a preview on recent tasks; its versions."""

from __future__ import annotations

from typing import Any, get_args

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute

from phospho_dashboard.auth.visitors import Visitor
from phospho_dashboard.definitions.trials import DefinitionTrials
from phospho_dashboard.detection import Detection, check_name, checked_definition, current_definition, history
from phospho_dashboard.layout.pages import Confirmation, ConfirmationPage, ProjectPage, is_confirmed
from phospho_dashboard.services import Endpoints, Services
from phospho_dashboard.web.forms import Form
from phospho_dashboard.web.routes import form_route, page_and_twin
from phospho_dashboard.web.urls import item_path, with_query
from phospho_schemas.definitions.engines import ENGINE_SPECS, unread_fields
from phospho_schemas.definitions.validation import DEFINITION_FIELDS, by_look
from phospho_schemas.messages import EventDefinition, JudgeChoice, Scope, ScoreRange
from phospho_schemas.times import utc_now
from phospho_web.problems import Problem

_PATH = "/definitions"
_MAX_TEXT_CHARACTERS = 200_000

_CHOICES = {
    "engines": list(ENGINE_SPECS),
    "engine_classes": {
        name: " ".join(
            [
                *(f"reads-{field}" for field in sorted(spec.own_fields)),
                *(["gives-scores"] * (len(spec.score_types) > 1)),
            ]
        )
        for name, spec in ENGINE_SPECS.items()
    },
    "engine_labels": {
        name: f"{spec.label} ({spec.hint})" if spec.hint else spec.label for name, spec in ENGINE_SPECS.items()
    },
    "scopes": get_args(Scope),
    "judges": get_args(JudgeChoice),
    "score_types": get_args(ScoreRange.model_fields["type"].annotation),
}


class DefinitionPages(Endpoints):
    """The page, its twin and its forms."""

    def __init__(self, services: Services, detection: Detection) -> None:
        super().__init__(services)
        self._detection = detection
        self._trials = DefinitionTrials(services.store)
        self._page = ProjectPage(services, "events", "definitions/definition.html")
        self._confirmation_page = ConfirmationPage(services, "events")

    def routes(self) -> list[BaseRoute]:
        """Return the routes of definitions. A name, which may be any text, is a parameter and not a path."""
        return [
            *page_and_twin(_PATH, self.read, self.render, ("name",)),
            form_route(_PATH, self.save),
            form_route(f"{_PATH}/threshold", self.use_threshold),
            form_route(f"{_PATH}/delete", self.delete),
        ]

    async def read(self, request: Request) -> tuple[Visitor, dict[str, Any]]:
        visitor, project_id = await self._access.page_visitor_and_project(request)
        return visitor, await self._threads.run(self._read, project_id, request.query_params.get("name", ""))

    async def render(self, request: Request, visitor: Visitor, stored: dict[str, Any]) -> Response:
        return await self._render(request, visitor, stored, stored["definition"] or _blank(stored["project_id"]))

    async def save(self, request: Request) -> Response:
        """Store the definition, or, where the form asks for it, show a preview."""
        visitor, form = await self._access.form_visitor(request)
        project_id = await self._form_project(request, visitor, form)
        fields = _fields(form)
        base_version = _base_version(form)
        stored = await self._threads.run(self._read_base, project_id, fields["name"], base_version)
        try:
            definition = await self._threads.run(self._checked, project_id, fields)
            if form.text("do") == "preview":
                preview = await self._threads.run(self._trials.preview, definition, self._detection)
                return await self._render(request, visitor, stored, fields, preview=preview, base_version=base_version)
            saved = await self._threads.run(self._registry.save_definition, definition, base_version)
        except Problem as problem:
            # A person who saw that there is a newer version may save theirs after it.
            base = None if problem.code == "changed_meanwhile" else base_version
            return await self._render(request, visitor, stored, fields, problem=problem, base_version=base)
        # Offer to run it on the tasks that are there already.
        offer = with_query(f"{_PATH}/backfill", {"project": project_id, "name": saved.name, "saved": "1"})
        page = with_query(item_path("/events", saved.name), {"project": project_id})
        has_tasks = await self._threads.run(self._trials.has_tasks, project_id)
        return RedirectResponse(offer if has_tasks else page, 303)

    async def delete(self, request: Request) -> Response:
        visitor, form = await self._access.form_visitor(request)
        project_id = await self._form_project(request, visitor, form)
        name = form.raw("name")
        if not is_confirmed(form):
            deletion = await self._threads.run(self._deletion, project_id, name)
            return await self._confirmation_page.render(
                request, visitor, form, project_id=project_id, confirmation=deletion
            )
        if not await self._threads.run(self._registry.delete_definition, project_id, name):
            raise Problem(404, "unknown_definition", f"there is no definition {name!r}")
        return RedirectResponse(with_query("/events", {"project": project_id}), 303)

    async def use_threshold(self, request: Request) -> Response:
        """Store a new version with another threshold, after the version that the threshold was suggested for."""
        visitor, form = await self._access.form_visitor(request)
        project_id = await self._form_project(request, visitor, form)
        name, version, threshold = form.raw("name"), form.text("version"), form.text("threshold")
        await self._threads.run(self._save_threshold, project_id, name, version, threshold)
        return RedirectResponse(with_query(item_path("/events", name), {"project": project_id}), 303)

    async def _form_project(self, request: Request, visitor: Visitor, form: Form) -> str:
        return await self._access.project_id(request, visitor, form.text("project") or None)

    def _read(self, project_id: str, name: str) -> dict[str, Any]:
        """Return a definition, None for a new or a deleted one, and its versions; Problem 404 for an unknown name."""
        versions = self._registry.definition_versions(project_id, name) if name else []
        if name and not versions:
            raise Problem(404, "unknown_definition", f"there is no definition {name!r} in this project")
        return self._stored(project_id, versions)

    def _read_base(self, project_id: str, name: str, base_version: int) -> dict[str, Any]:
        """Return the definition that a form changes. A new one changes none, though its name may be in use."""
        versions = self._registry.definition_versions(project_id, name) if name and base_version else []
        return self._stored(project_id, versions)

    def _save_threshold(self, project_id: str, name: str, version: str, threshold: str) -> None:
        current = current_definition(self._registry, project_id, name)
        if version != str(current.version):
            raise Problem(
                409,
                "changed_meanwhile",
                f"the definition has version {current.version} now",
                "reload its page and try again",
            )
        fields = current.model_dump(mode="json", include=set(DEFINITION_FIELDS)) | {"threshold": threshold}
        changed = checked_definition(project_id, fields, self._detection.check)
        self._registry.save_definition(changed, current.version)

    def _checked(self, project_id: str, fields: dict[str, Any]) -> EventDefinition:
        # The form hides the fields that the engine does not read, with the values typed for another engine.
        read = {field: value for field, value in fields.items() if field not in unread_fields(fields["engine"])}
        definition = checked_definition(project_id, read, self._detection.check)
        names = (other.name for other in self._registry.definitions(project_id))
        check_name(definition.name, by_look(names))
        return definition

    def _deletion(self, project_id: str, name: str) -> Confirmation:
        version = current_definition(self._registry, project_id, name).version
        tasks = self._trials.count_tasks(project_id, name)
        effects = (
            "New tasks are no longer checked for it.",
            f"Its events in {tasks:,} {'task' if tasks == 1 else 'tasks'} stay until re-analysis.",
            f"All versions up to {version} stay on its page.",
        )
        back = with_query(_PATH, {"project": project_id, "name": name})
        return Confirmation(f"Delete definition {name}?", effects, f"Delete {name}", back)

    def _stored(self, project_id: str, versions: list[EventDefinition]) -> dict[str, Any]:
        current = versions[0] if versions and not versions[0].is_deleted else None
        return {
            "project_id": project_id,
            "definition": None if current is None else current.model_dump(mode="json"),
            "warning": None if current is None else self._detection.warning(current),
            "versions": history(versions),
        }

    async def _render(
        self,
        request: Request,
        visitor: Visitor,
        stored: dict[str, Any],
        fields: dict[str, Any],
        *,
        preview: dict[str, Any] | None = None,
        problem: Problem | None = None,
        base_version: int | None = None,
    ) -> Response:
        """Show the form with `fields`. It saves a change of `base_version`, by default the stored one."""
        current = stored["definition"]["version"] if stored["definition"] else 0
        form = {
            "fields": fields,
            "preview": preview,
            "base_version": current if base_version is None else base_version,
            "can_preview": self._detection.preview is not None,
            "label_event": fields["name"],
        }
        return await self._page.render(request, visitor, stored | form | _CHOICES, problem=problem)


def _blank(project_id: str) -> dict[str, Any]:
    """Return the fields of a new definition, all with their defaults."""
    default = EventDefinition.model_validate({"project_id": project_id, "name": "-", "created_at": utc_now()})
    return default.model_dump(mode="json") | {"name": ""}


def _base_version(form: Form) -> int:
    text = form.text("base_version")
    if not text.isdecimal() or len(text) > 9:
        raise Problem(
            422, "invalid_field", "'base_version' must be the version that was changed, or 0", "open it again"
        )
    return int(text)


def _fields(form: Form) -> dict[str, Any]:
    """Return the fields of a form, in the words of the API; each line is a keyword."""
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
