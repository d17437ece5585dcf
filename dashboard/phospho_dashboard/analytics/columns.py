"""The sorts and the columns that a person may choose for a list."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from phospho_dashboard.layout.view_request import ViewRequest
from phospho_web.problems import Problem


def sort_labels(sorts: Mapping[str, tuple[str, str]]) -> dict[str, Any]:
    """Return the labels of the sorts, for a template."""
    return {"sorts": {name: label for name, (label, _) in sorts.items()}}


def chosen_columns(request: ViewRequest, columns: Mapping[str, str], default: Sequence[str]) -> dict[str, Any]:
    """
    Return the columns of a list, those that are shown, and the query that keeps the choice in links, for a template.

    Raises Problem 400 for an unknown column.
    """
    if not columns.keys() >= set(request.columns):
        raise Problem(400, "invalid_columns", "there is no such column", f"some of: {', '.join(columns)}")
    shown_columns = [name for name in columns if name in (request.columns or default)]
    kept_query = {"columns": None if shown_columns == list(default) else ",".join(shown_columns)}
    return {"all_columns": columns, "shown_columns": shown_columns, "kept_query": kept_query}
