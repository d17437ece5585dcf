"""The frame around every page of a project: the switch of projects and the navigation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from phospho_dashboard.auth.visitors import Visitor
from phospho_dashboard.web.urls import with_query
from phospho_schemas.messages import Project

# The name of a section (of its icon too), its path and its label, in the order of the navigation.
SECTIONS = (
    ("dashboard", "/", "Dashboard"),
    ("sessions", "/sessions", "Sessions"),
    ("tasks", "/tasks", "Tasks"),
    ("events", "/events", "Events"),
    ("users", "/users", "Users"),
    ("versions", "/versions", "Versions"),
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

    `section` is the current one of SECTIONS. The links of the navigation keep `filters`, a query.
    """

    section: str
    visitor: Visitor
    project_id: str
    projects: Sequence[Project]
    base_url: str
    filters: Mapping[str, str | None] = field(default_factory=dict)

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
