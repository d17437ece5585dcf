"""The first start: a project and a key, so that the first log can be sent."""

from __future__ import annotations

from phospho_schemas.messages import Project
from phospho_store.registry.registry import NewKey, Registry

DEFAULT_PROJECT_ID = "default"


def first_project(registry: Registry, project_id: str = "", secret: str = "") -> tuple[Project, NewKey | None]:
    """
    Return the first project, and its first key if it was made just now.

    Where there is no project yet, one is made, of the id and with the key that are given, or with made-up ones.
    Where there is one, nothing changes. Safe when many processes do it at once with the same id: they make one
    project, and each key that one of them made up is good.
    """
    projects = registry.projects()
    if projects:
        return projects[0], None
    # The key first: a project without one, as a crash in between would leave it, is a door without a handle.
    key = registry.create_key(project_id or DEFAULT_PROJECT_ID, "first key", secret or None)
    return registry.save_project(key.key.project_id), key
