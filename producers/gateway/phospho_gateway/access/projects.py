"""The project of a request or a message."""

from __future__ import annotations

from typing import Any

from phospho_schemas.ids import is_project_id
from phospho_web.problems import invalid, wrong_project


def project_of(message: dict[str, Any], granted: str | None) -> str:
    """
    Return the project of a message: the granted one, or, for an administrator (None), the one that it names.

    Raises Problem: 403 where it names another than the granted one, 422 where it names none or no project id.
    """
    named = message.get("project_id")
    if named is None or named == "":
        return required_project(granted)
    if granted is not None and named != granted:
        raise wrong_project()
    return checked_project_id(named)


def required_project(granted: str | None) -> str:
    """Return the granted project. Raises Problem (422) for an administrator, who has to name one."""
    if granted is None:
        raise invalid(
            "project_required",
            "an administrator's request names no project",
            "set project_id, or the header X-Phospho-Project",
        )
    return granted


def checked_project_id(value: Any) -> str:
    """Return a project id. Raises Problem (422) where it can't be one."""
    if type(value) is str and is_project_id(value):
        return value
    raise invalid(
        "invalid_project_id",
        "project_id is not an id of a project",
        "use 1 to 128 letters, digits, dots, dashes or underscores",
    )
