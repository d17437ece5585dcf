"""The frame around every page of a project, and the pages in it that are no views: forms, settings, confirmations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from zoneinfo import ZoneInfo

from starlette.requests import Request
from starlette.responses import Response

from phospho_dashboard.auth.visitors import FORM_FIELD, Visitor
from phospho_dashboard.queries.zones import UTC_ZONE, zone_of
from phospho_dashboard.services import Services
from phospho_dashboard.web.forms import Form
from phospho_dashboard.web.rendering import page_response, path_of
from phospho_dashboard.web.urls import with_query
from phospho_schemas.messages import Project
from phospho_schemas.rows.people import GivenRole, Role
from phospho_web.problems import Problem

# The name of a section (of its icon too), its path and its label, in the order of the navigation.
SECTIONS = (
    ("dashboard", "/", "Dashboard"),
    ("sessions", "/sessions", "Sessions"),
    ("tasks", "/tasks", "Tasks"),
    ("themes", "/themes", "Themes"),
    ("events", "/events", "Events"),
    ("users", "/users", "Users"),
    ("versions", "/versions", "Versions"),
    ("explore", "/explore", "Explore"),
    ("boards", "/boards", "Boards"),
    ("sql", "/sql", "SQL"),
    ("alerts", "/alerts", "Alerts"),
    ("import", "/import", "Import"),
    ("settings", "/settings", "Settings"),
)


@dataclass(frozen=True)
class NavigationLink:
    """A link of the navigation."""

    name: str
    label: str
    href: str
    is_current: bool


@dataclass(frozen=True)
class Frame:
    """
    The content of `layout/project.html` around a page.

    `section` is the current one of SECTIONS. The links of the navigation keep `filters`, a query. `zone` is the time
    zone of the page.
    """

    section: str
    visitor: Visitor
    project_id: str
    projects: Sequence[Project]
    base_url: str
    zone: ZoneInfo = UTC_ZONE
    filters: Mapping[str, str | None] = field(default_factory=dict)

    @property
    def role(self) -> GivenRole:
        """The visitor's role in the project."""
        return self.visitor.roles.in_project(self.project_id)

    def may(self, role: Role) -> bool:
        """Tell whether the visitor may do in the project what needs `role`."""
        return self.visitor.may_in(self.project_id, role)

    @property
    def has_own_zone(self) -> bool:
        """True if the project's settings name its zone; else it is the browser's."""
        return any(project.settings.time_zone for project in self.projects if project.project_id == self.project_id)

    @property
    def path(self) -> str:
        """The path of the section, where a switch of projects leads."""
        return next(path for name, path, _ in SECTIONS if name == self.section)

    @property
    def navigation(self) -> list[NavigationLink]:
        query = {"project": self.project_id, **self.filters}
        return [
            NavigationLink(name, label, with_query(path, query), name == self.section) for name, path, label in SECTIONS
        ]


# The name of a tab of the settings, its path, its label, and the role that sees it.
SETTINGS_TABS: tuple[tuple[str, str, str, Role], ...] = (
    ("project", "/settings", "Project", "viewer"),
    ("keys", "/settings/keys", "API keys", "viewer"),
    ("webhooks", "/settings/webhooks", "Webhooks", "viewer"),
    ("judgements", "/settings/judgements", "LLM judge", "viewer"),
    ("dead-letters", "/settings/dead-letters", "Dead letters", "viewer"),
    ("ledger", "/settings/ledger", "Ledger", "viewer"),
    ("audit", "/settings/audit", "Audit log", "admin"),
    ("health", "/settings/health", "System health", "viewer"),
    ("projects", "/settings/projects", "All projects", "viewer"),
    ("people", "/settings/people", "People", "admin"),
    ("account", "/settings/account", "Your account", "viewer"),
)
_CONFIRMED = "confirmed"


async def read_frame(services: Services, request: Request, visitor: Visitor, *, section: str, project_id: str) -> Frame:
    """Return the frame of a page in one of SECTIONS."""
    projects = await services.access.projects(visitor)
    project = next((project for project in projects if project.project_id == project_id), None)
    zone = zone_of(project, request)
    return Frame(section, visitor, project_id, projects, base_url=services.settings.base_url, zone=zone)


class ProjectPage:
    """A template inside the frame of one of SECTIONS, about the `project_id` of its content."""

    def __init__(self, services: Services, section: str, template: str) -> None:
        self._services = services
        self._section = section
        self._template = template

    async def render(
        self, request: Request, visitor: Visitor, content: dict[str, Any], *, problem: Problem | None = None
    ) -> Response:
        """Return the page; with `problem` it shows what is wrong, and has the problem's status."""
        frame = await read_frame(
            self._services, request, visitor, section=self._section, project_id=content["project_id"]
        )
        surroundings = {"frame": frame, "problem": problem, "here": path_of(request)}
        return page_response(self._template, surroundings | content, 200 if problem is None else problem.status)


class SettingsPage:
    """A template inside the frame of the settings, under one of SETTINGS_TABS."""

    def __init__(self, services: Services, tab: str, template: str) -> None:
        self._services = services
        self._tab = tab
        self._template = template

    async def render(
        self,
        request: Request,
        visitor: Visitor,
        content: dict[str, Any],
        *,
        problem: Problem | None = None,
        status: int = 200,
    ) -> Response:
        """Return the page; with `problem` it shows what is wrong, and has the problem's status."""
        project_id = await self._services.access.query_project(request, visitor)
        surroundings = {
            "frame": await read_frame(self._services, request, visitor, section="settings", project_id=project_id),
            "settings_navigation": self._tabs(visitor, project_id),
            "form_token": visitor.form_token,
            "may_edit": visitor.may_in(project_id, "editor"),
            "may_set": visitor.may_in(project_id, "admin"),
            "problem": problem,
        }
        return page_response(self._template, surroundings | content, status if problem is None else problem.status)

    def _tabs(self, visitor: Visitor, project_id: str) -> list[NavigationLink]:
        return [
            NavigationLink(name, label, with_query(path, {"project": project_id}), name == self._tab)
            for name, path, label, role in SETTINGS_TABS
            if visitor.may_in(project_id, role) and (name != "people" or visitor.is_admin)
        ]


@dataclass(frozen=True)
class Confirmation:
    """The question, the effects of a yes, the label of its button, and the path that a no leads back to."""

    title: str
    effects: tuple[str, ...]
    label: str
    back: str


def is_confirmed(form: Form) -> bool:
    """Tell whether a form was sent from the page of confirmation."""
    return form.text(_CONFIRMED) == "1"


class ConfirmationPage:
    """The page that asks before something that can't be undone. It is a form, and needs no script."""

    def __init__(self, services: Services, section: str) -> None:
        self._services = services
        self._section = section

    async def render(
        self, request: Request, visitor: Visitor, form: Form, *, project_id: str, confirmation: Confirmation
    ) -> Response:
        """Return a page that sends `form` to the same path again, confirmed."""
        content = {
            "frame": await read_frame(self._services, request, visitor, section=self._section, project_id=project_id),
            "confirmation": confirmation,
            "action": path_of(request),
            "fields": [*form.without(FORM_FIELD, _CONFIRMED), (_CONFIRMED, "1")],
        }
        return page_response("layout/confirm.html", content)
