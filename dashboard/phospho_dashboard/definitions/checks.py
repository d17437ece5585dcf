"""Checks of definitions that people write."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pydantic import ValidationError

from phospho_schemas.definitions import DEFINITION_FIELDS, refusal_of, too_alike
from phospho_schemas.messages import EventDefinition
from phospho_schemas.times import utc_now
from phospho_web.problems import Problem, validation_message


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
        hint = "choose another name, or delete that one"
        raise Problem(422, "invalid_definition", f"the name can be taken for {other!r}", hint)


def _message_and_hint(error: ValidationError) -> tuple[str, str]:
    first = error.errors(include_url=False)[0]
    if first["type"] != "too_long":
        return validation_message(error), ""
    field, limits = ".".join(map(str, first["loc"])), first["ctx"]
    message = f"{field}: at most {limits['max_length']} are taken, not {limits['actual_length']}"
    return message, "make several definitions of it, or say it in one pattern with engine: regex"
