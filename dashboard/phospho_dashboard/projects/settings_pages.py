"""The page of a project's settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_origin
from zoneinfo import available_timezones

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute

from phospho_dashboard.auth.visitors import Visitor
from phospho_dashboard.layout.pages import Confirmation, ConfirmationPage, SettingsPage, is_confirmed
from phospho_dashboard.projects.projects import changed_project
from phospho_dashboard.services import Endpoints, Services
from phospho_dashboard.web.forms import Form
from phospho_dashboard.web.routes import form_route, page_and_twin
from phospho_dashboard.web.urls import with_query
from phospho_schemas.messages import ProjectSettings
from phospho_schemas.times import utc_now
from phospho_store.retention import expired_tasks
from phospho_web.problems import Problem

_PATH = "/settings"

# Of a number of days that is worth a count of tasks; Project has the exact limit.
_MAX_DIGITS = 5

# The label and the hint of each setting. One that is missing here has its name and its description.
_WORDS = {
    "detect_events": ("Detect events", ""),
    "detect_sentiment": ("Detect sentiment", ""),
    "detect_language": ("Detect language", ""),
    "detect_themes": ("Find themes", ""),
    "output_themes": (
        "Find themes in outputs too",
        "From the next time themes are found: within a day, or by “Find themes again”.",
    ),
    "session_idle_minutes": ("Session idle timeout (minutes)", "A session ends after this long without a task."),
    "llm_daily_tokens": ("Judge budget (tokens/day)", "0 turns the LLM judge off."),
    "llm_daily_usd": ("Judge budget (USD/day)", "The token budget applies as well."),
    "llm_sample": ("LLM engine sampling rate", "Share of tasks (0–1) that definitions with the LLM engine read."),
    "webhook_wait_s": (
        "Webhook hold time (seconds)",
        "How long to hold an uncertain event for the judge. 0 sends immediately.",
    ),
    "max_tasks_per_day": ("Daily task quota", "Further tasks get HTTP 429 until 00:00 UTC."),
    "time_zone": ("Time zone", "Used by charts, filters, lists and exports. Empty: each browser's own."),
}


def _kind(annotation: Any) -> str:
    return "switch" if annotation is bool else "text" if annotation is str else "number"


_FIELDS: list[dict[str, Any]] = [
    {
        "name": name,
        "label": _WORDS.get(name, (name, ""))[0],
        "hint": _WORDS.get(name, ("", field.description or ""))[1],
        "kind": _kind(field.annotation),
    }
    for name, field in ProjectSettings.model_fields.items()
    # Lists, such as the rules of masking, are set by command and API.
    if get_origin(field.annotation) is not list
]
_TIME_ZONES = [*sorted(name for name in available_timezones() if "/" in name and not name.startswith("Etc/")), "UTC"]
# The fields of a project beside its settings.
_PROJECT_FIELDS = ("name", "retention_days")
# The label of the checkbox that stands for 0.
_UNLIMITED = {"retention_days": "Keep forever", "max_tasks_per_day": "Unlimited", "llm_daily_usd": "No cost limit"}
_UNLIMITED_PREFIX = "unlimited_"
# The prefix of hidden fields with the values that the form was shown with.
_SHOWN_PREFIX = "was_"


class SettingsPages(Endpoints):
    """The page, its twin and its form."""

    def __init__(self, services: Services) -> None:
        super().__init__(services)
        self._store = services.store
        self._page = SettingsPage(services, "project", "projects/project_settings.html")
        self._confirmation_page = ConfirmationPage(services, "settings")

    def routes(self) -> list[BaseRoute]:
        """Return the routes of a project's settings."""
        return [
            *page_and_twin(_PATH, self.read, self.render),
            form_route(_PATH, self.change),
        ]

    async def read(self, request: Request) -> tuple[Visitor, dict[str, Any]]:
        visitor, project_id = await self._access.page_visitor_and_project(request)
        return visitor, await self._content(project_id)

    async def render(self, request: Request, visitor: Visitor, content: dict[str, Any]) -> Response:
        stored = _form_values(content["project"])
        return await self._render(request, visitor, content, values=stored, shown_values=stored)

    async def change(self, request: Request) -> Response:
        """Change the fields that differ from those the form was shown with; changes of other people stay."""
        visitor, project_id, form = await self._access.form_visitor_and_project(request, "admin")
        changes = _changes(form)
        deletion = await self._threads.run(self._deletion, project_id, changes.get("retention_days", ""))
        if deletion is not None and not is_confirmed(form):
            return await self._confirmation_page.render(
                request, visitor, form, project_id=project_id, confirmation=deletion
            )
        try:
            await self._threads.run(changed_project, self._registry, project_id, changes)
        except Problem as problem:
            return await self._render_refused(request, visitor, form, problem)
        return RedirectResponse(with_query(_PATH, {"project": project_id}), 303)

    def _deletion(self, project_id: str, retention_days: str) -> Confirmation | None:
        """Return what to confirm where the retention becomes shorter, which deletes tasks."""
        project = self._registry.project(project_id)
        days = int(retention_days) if retention_days.isdecimal() and len(retention_days) <= _MAX_DIGITS else 0
        if project is None or not days or 0 < project.retention_days <= days:
            return None
        tasks = expired_tasks(self._store, project_id, days, utc_now())
        older = "1 older task is" if tasks == 1 else f"{tasks:,} older tasks are"
        before = f"{project.retention_days} days" if project.retention_days else "forever"
        effects = (
            f"{older} deleted within the hour, with their events, feedback, labels and notes.",
            f"Retention is {before} today. Deleted tasks can't be restored.",
        )
        back = with_query(_PATH, {"project": project_id})
        return Confirmation(f"Delete tasks older than {days} days?", effects, "Save and delete tasks", back)

    async def _render_refused(self, request: Request, visitor: Visitor, form: Form, problem: Problem) -> Response:
        """Show the settings as they were typed, with what is wrong."""
        content = await self._content(await self._access.query_project(request, visitor))
        names = list(_form_values(content["project"]))
        return await self._render(
            request,
            visitor,
            content,
            values={name: form.text(name) for name in names},
            shown_values={name: form.text(_SHOWN_PREFIX + name) for name in names},
            problem=problem,
        )

    async def _render(
        self,
        request: Request,
        visitor: Visitor,
        content: dict[str, Any],
        *,
        values: Mapping[str, str],
        shown_values: Mapping[str, str],
        problem: Problem | None = None,
    ) -> Response:
        form = {
            "fields": _FIELDS,
            "time_zones": _TIME_ZONES,
            "unlimited": _UNLIMITED,
            "values": values,
            "shown_values": shown_values,
        }
        return await self._page.render(request, visitor, content | form, problem=problem)

    async def _content(self, project_id: str) -> dict[str, Any]:
        project = await self._threads.run(self._registry.project, project_id)
        return {"project": project.model_dump(mode="json") if project is not None else None}


def _form_values(project: Mapping[str, Any]) -> dict[str, str]:
    """Return the text of each field of a project; that of a switch is "1", or nothing where it is off."""
    settings = {name: _form_value(value) for name, value in project["settings"].items()}
    return {"name": project["name"], "retention_days": str(project["retention_days"])} | settings


def _form_value(value: Any) -> str:
    if isinstance(value, bool):
        return "1" if value else ""
    return str(value)


def _is_same(text: str, shown: str) -> bool:
    """Tell whether a field was left as it was shown; "0" is what a checkbox says of "0.0"."""
    return text == shown or (text == "0" and shown == "0.0")


def _changes(form: Form) -> dict[str, Any]:
    """Return the fields that differ from those the form was shown with. A switch that is off sends nothing."""
    switches = {field["name"] for field in _FIELDS if field["kind"] == "switch"}
    names = [*_PROJECT_FIELDS, *(field["name"] for field in _FIELDS)]
    values = {name: "0" if form.text(_UNLIMITED_PREFIX + name) else form.text(name) for name in names}
    changed = {name: text for name, text in values.items() if not _is_same(text, form.text(_SHOWN_PREFIX + name))}
    settings = {
        name: bool(text) if name in switches else text for name, text in changed.items() if name not in _PROJECT_FIELDS
    }
    return {name: text for name, text in changed.items() if name in _PROJECT_FIELDS} | {"settings": settings}
