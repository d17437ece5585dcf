"""The pages of alerts: the list with the form of a new one, and one alert with its history."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from phospho_dashboard.alerts.alerts import Alerts
from phospho_dashboard.alerts.preview import AlertPreview
from phospho_dashboard.alerts.requests import FORM_FILTERS, edit_of_form, of_form, shown_threshold
from phospho_dashboard.auth.visitors import Visitor
from phospho_dashboard.layout.pages import ProjectPage
from phospho_dashboard.services import Endpoints, Services
from phospho_dashboard.web.forms import Form
from phospho_dashboard.web.routes import form_route, page_route, twin_route
from phospho_dashboard.web.urls import item_path, with_query
from phospho_dashboard.webhooks.webhooks import WebhookSending
from phospho_schemas.rows.alerts import CONDITIONS, THEME_FACTS, WINDOWS
from phospho_store.alerts.rules import ALERT_METRICS, conditions_of
from phospho_store.alerts.texts import window_text
from phospho_web.problems import Problem
from phospho_web.responses import json_response, with_json_errors

_PATH = "/alerts"
_DEFAULTS: dict[str, str] = {
    "metric": "event_rate",
    "condition": "above",
    "window_minutes": "60",
    "min_cases": "20",
    "resolve_after": "3",
    "format": "slack",
}
_NAMES = (
    "name", "metric", "event", "theme", "condition", "threshold", "window_minutes", "min_cases", "resolve_after",
    "format", "to", *FORM_FILTERS,
)  # fmt: skip
MUTES = {60: "1 hour", 480: "8 hours", 1440: "1 day", 10080: "7 days"}


class AlertPages(Endpoints):
    """The pages, their twins and their forms."""

    def __init__(self, services: Services, sending: WebhookSending) -> None:
        super().__init__(services)
        self._alerts = Alerts(services, sending)
        self._preview = AlertPreview(services)
        self._list_page = ProjectPage(services, "alerts", "alerts/alerts.html")
        self._alert_page = ProjectPage(services, "alerts", "alerts/alert.html")

    def routes(self) -> list[BaseRoute]:
        """Return the routes of alerts."""
        return [
            twin_route(_PATH, self.twin),
            page_route(_PATH, self.page),
            form_route(_PATH, self.add),
            form_route(f"{_PATH}/preview", self.preview),
            form_route(f"{_PATH}/edit", self.edit),
            form_route(f"{_PATH}/remove", self.remove),
            form_route(f"{_PATH}/mute", self.mute),
            form_route(f"{_PATH}/test", self.test),
            Route(f"{_PATH}/{{alert_id}}.json", with_json_errors(self.alert_twin)),
            page_route(f"{_PATH}/{{alert_id}}", self.alert),
        ]

    async def page(self, request: Request) -> Response:
        visitor = await self._access.page_visitor(request)
        typed = {name: request.query_params[name][:200] for name in _NAMES if name in request.query_params}
        return await self._render(request, visitor, typed=typed)

    async def twin(self, request: Request) -> Response:
        visitor, project_id = await self._access.page_visitor_and_project(request)
        rows = await self._threads.run(self._alerts.rows, project_id, visitor)
        return json_response({"project_id": project_id, "alerts": rows})

    async def preview(self, request: Request) -> Response:
        """Show how often the alert of the form would have fired. Nothing is stored."""
        visitor, project_id, form = await self._access.form_visitor_and_project(request, "editor")
        try:
            new = of_form(form)
            alert = await self._threads.run(self._alerts.checked, project_id, new.fields, visitor.author)
            preview = await self._slow_threads.run(project_id, self._preview.read, alert)
        except Problem as problem:
            return await self._render(request, visitor, typed=_typed(form), problem=problem)
        return await self._render(request, visitor, typed=_typed(form), preview=preview)

    async def add(self, request: Request) -> Response:
        """Add an alert; a signed webhook's secret is shown on the answer, which no cache keeps."""
        visitor, project_id, form = await self._access.form_visitor_and_project(request, "editor")
        try:
            alert_id, channels = await self._threads.run(self._alerts.add, project_id, of_form(form), visitor.author)
        except Problem as problem:
            return await self._render(request, visitor, typed=_typed(form), problem=problem)
        if any("secret" in channel for channel in channels):
            return await self._render_alert(request, visitor, alert_id, new_channels=channels)
        return _to_alert(project_id, alert_id)

    async def alert(self, request: Request) -> Response:
        visitor = await self._access.page_visitor(request)
        return await self._render_alert(request, visitor, request.path_params["alert_id"])

    async def alert_twin(self, request: Request) -> Response:
        visitor, project_id = await self._access.page_visitor_and_project(request)
        alert_id = request.path_params["alert_id"]
        return json_response({"alert": await self._threads.run(self._alerts.detail, project_id, alert_id, visitor)})

    async def edit(self, request: Request) -> Response:
        """Change an alert; the secret of a new signed webhook is shown on the answer."""
        visitor, project_id, form = await self._access.form_visitor_and_project(request, "editor")
        alert = await self._threads.run(self._alerts.alert, project_id, form.text("alert_id"))
        try:
            channels = await self._threads.run(self._alerts.edit, alert, edit_of_form(form, alert), visitor.author)
        except Problem as problem:
            return await self._render_alert(request, visitor, alert.alert_id, problem=problem)
        if any("secret" in channel for channel in channels):
            return await self._render_alert(request, visitor, alert.alert_id, new_channels=channels)
        return _to_alert(project_id, alert.alert_id)

    async def remove(self, request: Request) -> Response:
        _, project_id, form = await self._access.form_visitor_and_project(request, "editor")
        await self._threads.run(self._alerts.remove, project_id, form.text("alert_id"))
        return RedirectResponse(with_query(_PATH, {"project": project_id}), 303)

    async def mute(self, request: Request) -> Response:
        _, project_id, form = await self._access.form_visitor_and_project(request, "editor")
        minutes = form.text("minutes")
        if not minutes.isdecimal():
            raise Problem(422, "invalid_minutes", "choose for how long the alert is muted")
        await self._threads.run(self._alerts.mute, project_id, form.text("alert_id"), int(minutes[:6]))
        return _to_alert(project_id, form.text("alert_id"))

    async def test(self, request: Request) -> Response:
        visitor, project_id, form = await self._access.form_visitor_and_project(request, "editor")
        tests = await self._slow_threads.run(project_id, self._alerts.test, project_id, form.text("alert_id"))
        return await self._render_alert(request, visitor, form.text("alert_id"), tests=tests)

    async def _render(
        self,
        request: Request,
        visitor: Visitor,
        *,
        typed: dict[str, str],
        preview: dict[str, Any] | None = None,
        problem: Problem | None = None,
    ) -> Response:
        project_id = await self._access.query_project(request, visitor)
        content = await self._threads.run(self._content, project_id, visitor)
        content |= {"typed": dict.fromkeys(_NAMES, "") | _DEFAULTS | typed, "preview": preview, "is_open": bool(typed)}
        return await self._list_page.render(request, visitor, content, problem=problem)

    def _content(self, project_id: str, visitor: Visitor) -> dict[str, Any]:
        subjects = self._alerts.subjects(project_id)
        metrics = {
            name: metric.label
            for name, metric in ALERT_METRICS.items()
            if not metric.option or subjects[f"{metric.option}s"]
        }
        return {
            "project_id": project_id,
            "alerts": self._alerts.rows(project_id, visitor),
            "can_mail": self._alerts.can_mail,
            "metrics": metrics,
            "classes": {name: _class_of(name) for name in metrics},
            "conditions": {name: label for name, label in CONDITIONS.items() if name != "occurs"},
            "windows": {str(minutes): window_text(minutes) for minutes in WINDOWS},
            **subjects,
        }

    async def _render_alert(
        self,
        request: Request,
        visitor: Visitor,
        alert_id: str,
        *,
        new_channels: list[dict[str, Any]] | None = None,
        tests: list[dict[str, Any]] | None = None,
        problem: Problem | None = None,
    ) -> Response:
        project_id = await self._access.query_project(request, visitor)
        row = await self._threads.run(self._alerts.detail, project_id, alert_id, visitor)
        alert = await self._threads.run(self._alerts.alert, project_id, alert_id)
        content: dict[str, Any] = {"project_id": project_id, "alert": row, "new_channels": new_channels, "tests": tests}
        content |= {"mutes": MUTES, "threshold": shown_threshold(alert), "can_mail": self._alerts.can_mail}
        return await self._alert_page.render(request, visitor, content, problem=problem)


def _class_of(metric: str) -> str:
    """Return the class of a metric's option, by which the form shows the fields that it needs."""
    declared = ALERT_METRICS[metric]  # type: ignore[index]
    if metric in THEME_FACTS:
        return "is-fact"
    kinds = [f"of-{declared.option}" if declared.option else "", f"in-{declared.unit}"]
    return " ".join([*filter(None, kinds), "" if "absent" in conditions_of(metric) else "is-rate"]).strip()  # type: ignore[arg-type]


def _typed(form: Form) -> dict[str, str]:
    return {name: form.text(name, 2_000) for name in _NAMES}


def _to_alert(project_id: str, alert_id: str) -> Response:
    return RedirectResponse(with_query(item_path(_PATH, alert_id), {"project": project_id}), 303)
