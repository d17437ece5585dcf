"""Create and change projects, for the API and the pages. Blocking; raises what the store raises."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from phospho_schemas.messages import KEY_SCOPES, ApiKey, KeyScope, Project, ProjectSettings
from phospho_schemas.times import utc_now
from phospho_store.registry.registry import NewKey, Registry
from phospho_web.problems import Problem, validation_message

_CHANGEABLE = frozenset({"name", "retention_days", "settings"})

PUBLIC_KEY_FIELDS = (
    "key_id",
    "project_id",
    "prefix",
    "name",
    "scopes",
    "created_at",
    "expires_at",
    "revoked_at",
)


def created_project(registry: Registry, content: Mapping[str, Any]) -> Project:
    """Create the project that `content` describes, and return it. Raises Problem 409 or 422."""
    project = _checked({name: content[name] for name in ("project_id", *_CHANGEABLE) if name in content})
    if registry.project(project.project_id) is not None:
        raise Problem(409, "project_exists", f"there is a project {project.project_id!r} already")
    return registry.save_project(project.project_id, project.name, project.retention_days, project.settings)


def changed_project(registry: Registry, project_id: str, changes: Mapping[str, Any]) -> Project:
    """
    Change a project and return it. Fields and settings that `changes` does not name stay.

    Raises Problem 404 where there is none of that id, 422 for an unknown or a wrong field.
    """
    unknown = sorted(set(changes) - _CHANGEABLE)
    if unknown:
        raise Problem(
            422, "invalid_project", f"unknown field {unknown[0]!r}", f"known: {', '.join(sorted(_CHANGEABLE))}"
        )
    with registry.lock:
        project = registry.project(project_id)
        if project is None:
            raise Problem(404, "unknown_project", f"there is no project {project_id!r}")
        settings = _changed_settings(project.settings, changes.get("settings", {}))
        fields = {"project_id": project_id, "name": project.name, "retention_days": project.retention_days}
        changed = _checked(fields | dict(changes) | {"settings": settings})
        return registry.save_project(project_id, changed.name, changed.retention_days, changed.settings)


def _changed_settings(settings: ProjectSettings, changes: Any) -> dict[str, Any]:
    if not isinstance(changes, Mapping):
        raise Problem(422, "invalid_project", "'settings' must be an object")
    unknown = sorted(set(changes) - set(ProjectSettings.model_fields))
    if unknown:
        names = sorted(ProjectSettings.model_fields)
        nearest = difflib.get_close_matches(unknown[0], names, n=1)
        suggestion = f"did you mean {nearest[0]!r}? " if nearest else ""
        raise Problem(
            422, "invalid_project", f"there is no setting {unknown[0]!r}", f"{suggestion}known: {', '.join(names)}"
        )
    return settings.model_dump() | dict(changes)


def _checked(content: Mapping[str, Any]) -> Project:
    try:
        return Project(created_at=utc_now(), **content)
    except ValidationError as error:
        raise Problem(422, "invalid_project", validation_message(error)) from None


class _NewKey(BaseModel):
    """The fields of a key that somebody creates."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(max_length=128)] = ""
    scopes: Annotated[list[KeyScope], Field(min_length=1)] = ["admin"]
    expires_at: AwareDatetime | None = None


def created_key(registry: Registry, project_id: str, content: Mapping[str, Any]) -> NewKey:
    """Create a key of a project and return it. Raises Problem 422."""
    try:
        fields = _NewKey.model_validate(content)
    except ValidationError as error:
        raise Problem(422, "invalid_key", validation_message(error)) from None
    if fields.expires_at is not None and fields.expires_at <= utc_now():
        raise Problem(422, "invalid_key", "expires_at has passed already", "send a time in the future, or none")
    scopes = [scope for scope in KEY_SCOPES if scope in fields.scopes]
    return registry.create_key(project_id, fields.name, scopes=scopes, expires_at=fields.expires_at)


def public_key(key: ApiKey) -> dict[str, Any]:
    """Return the public fields of a key."""
    return key.model_dump(mode="json", include=set(PUBLIC_KEY_FIELDS))
