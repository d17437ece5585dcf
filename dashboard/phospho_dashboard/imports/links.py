"""The link to the tasks of one import."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from phospho_dashboard.queries.filters import Filters
from phospho_dashboard.web.urls import with_query

IMPORT_KEY = "import_id"


def tagged(event: dict[str, Any], import_id: str) -> dict[str, Any]:
    """Return an event whose metadata names its import, so that a list can be filtered by it."""
    metadata = event.get("metadata")
    if metadata is not None and not isinstance(metadata, dict):
        # It is refused as it is.
        return event
    return event | {"metadata": {**(metadata or {}), IMPORT_KEY: import_id}}


def tasks_of_import(project_id: str, import_id: str) -> str:
    """Return the path of the list of exactly the tasks of an import."""
    filters = replace(Filters(), period="all", where=f"metadata.{IMPORT_KEY}={import_id}")
    return with_query("/tasks", {"project": project_id, **filters.query()})
