"""The frame around every page: which project, which other projects, and the ways to the other pages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from phospho_dashboard.auth.visitors import Visitor
from phospho_dashboard.web.urls import with_query
from phospho_schemas.messages import Project

# The name of a page (of its icon too), its path and its label, in the order of the navigation.
PAGES = (
    ("dashboard", "/", "Dashboard"),
    ("sessions", "/sessions", "Sessions"),
    ("tasks", "/tasks", "Tasks"),
    ("events", "/events", "Events"),
    ("users", "/users", "Users"),
    ("versions", "/versions", "Versions"),
    ("settings", "/settings", "Settings"),
)


@dataclass(frozen=True)
class Entry:
    """One way to another page."""

    name: str
    label: str
    href: str
    is_current: bool


@dataclass(frozen=True)
class Frame:
    """
    What `project.html` shows around a page, to `visitor`.

    `path` is the page's own list, which a switch of projects leads to.
    """

    visitor: Visitor
    path: str
    project_id: str
    projects: Sequence[Project]
    navigation: Sequence[Entry]
    base_url: str


def frame_of(
    page: str,
    visitor: Visitor,
    project_id: str,
    projects: Sequence[Project],
    base_url: str,
    kept: Mapping[str, str | None],
) -> Frame:
    """Return the frame of one of PAGES; its links keep the project and the filters in `kept`."""
    query = {"project": project_id, **kept}
    entries = [Entry(name, label, with_query(path, query), name == page) for name, path, label in PAGES]
    path = next(path for name, path, _ in PAGES if name == page)
    return Frame(visitor, path, project_id, projects, entries, base_url)
