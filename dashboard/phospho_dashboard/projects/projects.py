"""Making and changing a project: what the API and the settings page share. Blocking; raises what the store raises."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError

from phospho_schemas.messages import Project, ProjectSettings
from phospho_store.registry.registry import Registry
from phospho_web.problems import Problem

_CHANGEABLE = frozenset({"name", "retention_days", "settings"})


def created_project(registry: Registry, content: Mapping[str, Any]) -> Project:
    """Create the project that `content` describes, and return it. Raises Problem 409 or 422."""
    given = {name: content[name] for name in ("project_id", *_CHANGEABLE) if name in content}
    wanted = _checked(given)
    if registry.project(wanted.project_id) is not None:
        raise Problem(409, "project_exists", f"there is a project {wanted.project_id!r} already")
    return registry.save_project(wanted.project_id, wanted.name, wanted.retention_days, wanted.settings)


def changed_project(registry: Registry, project_id: str, changes: Mapping[str, Any]) -> Project:
    """
    Change a project and return it; what `changes` does not name stays, among its settings too.

    Raises Problem 404 where there is none of that id, 422 for an unknown or a wrong field.
    """
    unknown = sorted(set(changes) - _CHANGEABLE)
    if unknown:
        raise Problem(
            422, "invalid_project", f"unknown field {unknown[0]!r}", f"known: {', '.join(sorted(_CHANGEABLE))}"
        )
    with registry.lock:
        known = registry.project(project_id)
        if known is None:
            raise Problem(404, "unknown_project", f"there is no project {project_id!r}")
        given = dict(changes) | {"settings": _settings(known.settings, changes.get("settings", {}))}
        kept = {"project_id": project_id, "name": known.name, "retention_days": known.retention_days}
        wanted = _checked(kept | given)
        return registry.save_project(project_id, wanted.name, wanted.retention_days, wanted.settings)


def first_message(error: ValidationError) -> str:
    """Return the first thing that is wrong, and where, without what was given."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"


def _settings(known: ProjectSettings, changes: Any) -> dict[str, Any]:
    if not isinstance(changes, Mapping):
        raise Problem(422, "invalid_project", "'settings' must be an object")
    unknown = sorted(set(changes) - set(ProjectSettings.model_fields))
    if unknown:
        raise Problem(422, "invalid_project", f"there is no setting {unknown[0]!r}")
    return known.model_dump() | dict(changes)


def _checked(content: Mapping[str, Any]) -> Project:
    try:
        return Project(created_at=datetime.now(UTC), **content)
    except ValidationError as error:
        raise Problem(422, "invalid_project", first_message(error)) from None
