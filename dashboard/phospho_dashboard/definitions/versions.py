"""The versions of a definition, and the changes from one to the next."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from typing import Any

from phospho_schemas.definitions import DEFINITION_FIELDS
from phospho_schemas.messages import EventDefinition
from phospho_store.registry.registry import Registry
from phospho_web.problems import Problem


def versions_of(registry: Registry, project_id: str, name: str) -> list[EventDefinition]:
    """Return the versions of a definition, the latest first; Problem 404 where there is none."""
    versions = registry.definition_versions(project_id, name)
    if not versions:
        raise Problem(404, "unknown_definition", f"there is no definition {name!r} in this project")
    return versions


def current_definition(registry: Registry, project_id: str, name: str) -> EventDefinition:
    """Return the latest version of a definition; Problem 404 where there is none, or it is deleted."""
    latest = versions_of(registry, project_id, name)[0]
    if latest.is_deleted:
        raise Problem(404, "unknown_definition", f"the definition {name!r} is deleted")
    return latest


def history(versions: Sequence[EventDefinition]) -> list[dict[str, Any]]:
    """Return each of `versions`, the latest first, with its changes: field, `before`, `after`."""
    return [
        {
            "version": version.version,
            "created_at": version.model_dump(mode="json")["created_at"],
            "is_deleted": version.is_deleted,
            "changes": changes(before, version) if before is not None else [],
        }
        for version, before in zip_longest(versions, versions[1:])
    ]


def changes(before: EventDefinition, after: EventDefinition) -> list[dict[str, Any]]:
    """Return the fields that differ between two versions."""
    old, new = before.model_dump(mode="json"), after.model_dump(mode="json")
    return [
        {"field": name, "before": old[name], "after": new[name]} for name in DEFINITION_FIELDS if old[name] != new[name]
    ]
