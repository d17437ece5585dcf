"""Checks of definitions that people write, their versions, and the functions of detection that both are tried with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import zip_longest
from typing import Any

from pydantic import ValidationError

from phospho_schemas.definitions.validation import DEFINITION_FIELDS, refusal_of, too_alike
from phospho_schemas.messages import EventDefinition
from phospho_schemas.times import utc_now
from phospho_store.registry.registry import Registry
from phospho_web.problems import Problem, validation_message


@dataclass(frozen=True)
class Detection:
    """
    Functions of detection, handed in by the process.

    `check` says why a definition can't work (a pattern that does not compile, no keywords), or None.
    `warning` says what a definition that works may do against the wish of its author, or None.
    `estimate` says what a backfill of a definition between two times would cost.
    `diff` compares what two versions find in the latest tasks, of which the last argument is the number.
    `label_queue` returns the ids of the tasks of a project to label next for a definition.
    `preview` returns the event that a definition finds in each task (a row of `task_rows`), as JSON, or None. It is
    None where this process can't detect.
    """

    check: Callable[[EventDefinition], str | None]
    warning: Callable[[EventDefinition], str | None]
    estimate: Callable[[EventDefinition, datetime | None, datetime | None], dict[str, Any]]
    diff: Callable[[EventDefinition | None, EventDefinition, int], dict[str, Any]]
    label_queue: Callable[[str, str, int], list[str]]
    preview: Callable[[EventDefinition, Sequence[Mapping[str, Any]]], Sequence[dict[str, Any] | None]] | None = None


def checked_definition(project_id: str, item: Any, check: Callable[[EventDefinition], str | None]) -> EventDefinition:
    """Return the definition that `item` describes. Raises Problem 422 for one that is not valid, or can't work."""
    if not isinstance(item, dict):
        raise Problem(422, "invalid_definition", "a definition must be an object")
    # The fields of the API's own answers may be sent back.
    unknown = sorted(str(key) for key in item if key not in EventDefinition.model_fields)
    if unknown:
        hint = f"known: {', '.join(DEFINITION_FIELDS)}"
        raise Problem(422, "invalid_definition", f"unknown field {unknown[0]!r}", hint)
    fields = {key: value for key, value in item.items() if key in DEFINITION_FIELDS}
    try:
        definition = EventDefinition(project_id=project_id, created_at=utc_now(), **fields)
    except ValidationError as error:
        raise Problem(422, "invalid_definition", *_message_and_hint(error)) from None
    reason = refusal_of(definition) or check(definition)
    if reason is not None:
        raise Problem(422, "invalid_definition", reason)
    return definition


def check_name(name: str, names_by_look: Mapping[str, set[str]]) -> None:
    """Raise Problem 422 where a name can be mistaken for another one in use."""
    other = too_alike(name, names_by_look)
    if other is not None:
        hint = "choose another name, or delete the other definition"
        raise Problem(422, "invalid_definition", f"the name looks like {other!r}", hint)


def _message_and_hint(error: ValidationError) -> tuple[str, str]:
    first = error.errors(include_url=False)[0]
    if first["type"] != "too_long":
        return validation_message(error), ""
    field, limits = ".".join(map(str, first["loc"])), first["ctx"]
    message = f"{field}: at most {limits['max_length']} are allowed, got {limits['actual_length']}"
    return message, "split it into several definitions, or use one pattern with engine: regex"


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
