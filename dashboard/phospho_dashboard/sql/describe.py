"""DESCRIBE and SHOW of the views, answered from their reference: no statement of the user runs."""

from __future__ import annotations

import re
from typing import Any

from phospho_store.view_columns import VIEW_REFERENCES
from phospho_web.problems import Problem

_DESCRIBE = re.compile(r"\s*(?:DESC|DESCRIBE|SHOW\s+COLUMNS\s+FROM)\s+(?:TABLE\s+)?`?(\w+)`?\s*;?\s*", re.IGNORECASE)
_SHOW = re.compile(r"\s*SHOW\s+(?:TABLES|VIEWS)\s*;?\s*", re.IGNORECASE)
_COLUMNS = """
SELECT item.1 AS name, item.2 AS type, item.3 AS comment
FROM (SELECT arrayJoin({items:Array(Tuple(String, String, String))}) AS item)
"""
_VIEWS = """
SELECT item.1 AS name, item.2 AS comment FROM (SELECT arrayJoin({items:Array(Tuple(String, String))}) AS item)
"""


def described(sql: str) -> tuple[str, dict[str, Any]] | None:
    """
    Return the query that answers DESCRIBE or SHOW, with its parameters; None for any other statement.

    Raises Problem 400 for a view that does not exist.
    """
    if _SHOW.fullmatch(sql):
        return _VIEWS, {"items": [(view.name, view.description) for view in VIEW_REFERENCES.values()]}
    match = _DESCRIBE.fullmatch(sql)
    if match is None:
        return None
    view = VIEW_REFERENCES.get(match[1])
    if view is None:
        raise Problem(400, "unknown_view", f"there is no view {match[1]!r}", f"the views: {', '.join(VIEW_REFERENCES)}")
    return _COLUMNS, {"items": [(column.name, column.type, column.description) for column in view.columns]}
