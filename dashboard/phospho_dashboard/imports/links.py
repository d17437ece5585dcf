"""The link to the tasks of one import."""

from __future__ import annotations

from dataclasses import replace

from phospho_dashboard.queries.filters import Filters
from phospho_dashboard.web.urls import with_query
from phospho_schemas.imports import IMPORT_KEY


def tasks_of_import(project_id: str, mark: str) -> str:
    """Return the path of the list of exactly the tasks of an import, by the mark in their metadata."""
    filters = replace(Filters(), period="all", where=f"metadata.{IMPORT_KEY}={mark}")
    return with_query("/tasks", {"project": project_id, **filters.query()})
