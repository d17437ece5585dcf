"""Definitions as people write and change them: checked, previewed on recent tasks, and compared version by version."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError

from phospho_dashboard.analytics.tasks import Tasks
from phospho_dashboard.projects.projects import first_message
from phospho_dashboard.queries.extent import Extents
from phospho_dashboard.queries.filters import Filters, Scope
from phospho_dashboard.queries.periods import Span
from phospho_dashboard.services import DefinitionCheck, Preview
from phospho_schemas.definitions import refusal_of, too_alike
from phospho_schemas.messages import EventDefinition
from phospho_store.registry.registry import Registry
from phospho_store.store import Store
from phospho_web.problems import Problem

PREVIEW_TASKS = 200
PREVIEW_EXAMPLES = 20

_OF_THE_REGISTRY = ("schema_version", "project_id", "version", "revision", "is_deleted", "created_at")
# What a person says of an event, in the order in which it is shown.
DEFINITION_FIELDS = tuple(name for name in EventDefinition.model_fields if name not in _OF_THE_REGISTRY)

_TEXTS = """
SELECT project_id, task_id, revision, session_id, user_id, version_id, created_at, input, output, system_prompt
FROM task_rows FINAL
WHERE project_id = {project:String} AND task_id IN {tasks:Array(String)}
"""
_UNLABELLED = """
SELECT task_id
FROM analysis_rows FINAL
ARRAY JOIN events AS event
WHERE project_id = {project:String} AND event.name = {event:String} AND task_id NOT IN (
    SELECT task_id FROM label_rows FINAL
    WHERE project_id = {project:String} AND event_name = {event:String} AND label != ''
)
ORDER BY event.score, task_id
LIMIT {limit:UInt32}
"""
_FOUND_IN = """
SELECT count() AS tasks FROM analysis_rows FINAL
WHERE project_id = {project:String} AND has(CAST(events.name, 'Array(String)'), {event:String})
"""


def checked_definition(project_id: str, item: Any, check: DefinitionCheck) -> EventDefinition:
    """Return the definition that `item` describes. Raises Problem 422 for one that can't be, or can't work."""
    if not isinstance(item, dict):
        raise Problem(422, "invalid_definition", "a definition must be an object")
    # What the API itself answers with may be sent back.
    unknown = sorted(str(key) for key in item if key not in EventDefinition.model_fields)
    if unknown:
        hint = f"known: {', '.join(DEFINITION_FIELDS)}"
        raise Problem(422, "invalid_definition", f"unknown field {unknown[0]!r}", hint)
    wanted = {key: value for key, value in item.items() if key in DEFINITION_FIELDS}
    try:
        definition = EventDefinition(project_id=project_id, created_at=datetime.now(UTC), **wanted)
    except ValidationError as error:
        raise Problem(422, "invalid_definition", *_said(error)) from None
    reason = refusal_of(definition) or check(definition)
    if reason is not None:
        raise Problem(422, "invalid_definition", reason)
    return definition


def check_name(name: str, others: Mapping[str, set[str]]) -> None:
    """Raise Problem 422 where a name can be taken for another one that is in use; those are `by_look`."""
    other = too_alike(name, others)
    if other is not None:
        hint = "choose another name, or delete that one"
        raise Problem(422, "invalid_definition", f"the name can be taken for {other!r}", hint)


def _said(error: ValidationError) -> tuple[str, str]:
    """Return what is wrong, and what to do about it where that is not plain."""
    first = error.errors(include_url=False)[0]
    if first["type"] != "too_long":
        return first_message(error), ""
    field, bounds = ".".join(map(str, first["loc"])), first["ctx"]
    message = f"{field}: at most {bounds['max_length']} are taken, not {bounds['actual_length']}"
    return message, "make several definitions of it, or say it in one pattern with engine: regex"


def versions_of(registry: Registry, project_id: str, name: str) -> list[EventDefinition]:
    """Return the versions of a definition, the latest first; Problem 404 where there is none."""
    versions = registry.definition_versions(project_id, name)
    if not versions:
        raise Problem(404, "unknown_definition", f"there is no definition {name!r} in this project")
    return versions


def current_definition(registry: Registry, project_id: str, name: str) -> EventDefinition:
    """Return a definition as it is now; Problem 404 where there is none, or none any more."""
    latest = versions_of(registry, project_id, name)[0]
    if latest.is_deleted:
        raise Problem(404, "unknown_definition", f"the definition {name!r} is deleted")
    return latest


class DefinitionTrials:
    """Tries definitions on the tasks of a project. Blocking; raises what the store raises."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._tasks = Tasks(store)
        self._extents = Extents(store)

    def preview(self, definition: EventDefinition, find: Preview) -> dict[str, Any]:
        """
        Return what a definition would find in the last PREVIEW_TASKS tasks, and what it finds there no longer.

        `found` and `lost` are tasks with previews of their texts, at most PREVIEW_EXAMPLES of each; `found_now` and
        `found_before` count them all. Nothing is stored.
        """
        recent = self._recent(definition.project_id)
        texts = self._texts(definition.project_id, [task["task_id"] for task in recent])
        known = [task for task in recent if task["task_id"] in texts]
        hits = find(definition, [texts[task["task_id"]] for task in known])
        found = [task | {"hit": hit} for task, hit in zip(known, hits, strict=True) if hit is not None]
        before = [task for task in known if _has(task, definition.name)]
        found_ids = {task["task_id"] for task in found}
        return {
            "tasks": len(known),
            "found_now": len(found),
            "found_before": len(before),
            "found": found[:PREVIEW_EXAMPLES],
            "lost": [task for task in before if task["task_id"] not in found_ids][:PREVIEW_EXAMPLES],
        }

    def nearest_the_border(self, project_id: str, event: str, limit: int) -> list[str]:
        """Return the tasks in which an event was found with the lowest score, and which nobody has labelled yet."""
        rows = self._store.rows(_UNLABELLED, {"project": project_id, "event": event, "limit": limit})
        return [row["task_id"] for row in rows]

    def found_in(self, project_id: str, event: str) -> int:
        """Return in how many tasks an event was found."""
        return int(self._store.rows(_FOUND_IN, {"project": project_id, "event": event})[0]["tasks"])

    def _recent(self, project_id: str) -> list[dict[str, Any]]:
        now_ms = time.time_ns() // 1_000_000
        scope = Scope(project_id, Filters(), Span(None, now_ms), self._extents.corrections(project_id))
        page = self._tasks.page(scope, self._extents.extent(project_id), "newest", None, PREVIEW_TASKS)
        return list(page["tasks"])

    def _texts(self, project_id: str, task_ids: list[str]) -> dict[str, dict[str, Any]]:
        rows = self._store.rows(_TEXTS, {"project": project_id, "tasks": task_ids})
        return {row["task_id"]: row for row in rows}


def changes(versions: Sequence[EventDefinition]) -> list[dict[str, Any]]:
    """Return what each of `versions`, the newest first, has changed of the one before: field, `before`, `after`."""
    history = []
    for place, version in enumerate(versions):
        before = versions[place + 1] if place + 1 < len(versions) else None
        history.append(
            {
                "version": version.version,
                "created_at": version.model_dump(mode="json")["created_at"],
                "is_deleted": version.is_deleted,
                "changes": _changed(before, version) if before is not None else [],
            }
        )
    return history


def _changed(before: EventDefinition, after: EventDefinition) -> list[dict[str, Any]]:
    old, new = before.model_dump(mode="json"), after.model_dump(mode="json")
    return [
        {"field": name, "before": old[name], "after": new[name]} for name in DEFINITION_FIELDS if old[name] != new[name]
    ]


def _has(task: dict[str, Any], name: str) -> bool:
    return any(event["name"] == name and event["engine"] != "person" for event in task["events"])
