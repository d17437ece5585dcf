"""SQL for definitions: the latest version of each, which may be its deletion."""

from __future__ import annotations

from phospho_store.sql import compose

_LATEST_DEFINITIONS = """(
    SELECT * EXCEPT schema_version FROM definition_rows FINAL
    WHERE $condition
    ORDER BY project_id, name, version DESC LIMIT 1 BY project_id, name
)"""


def latest_definitions(condition: str = "1") -> str:
    """Return a subquery of the latest version of each definition, deletions among them, by project and name."""
    return compose(_LATEST_DEFINITIONS, condition=condition)


def current_definitions(condition: str = "1") -> str:
    """Return a subquery of the definitions that are there now; `condition` may be one on what no version changes."""
    return f"(SELECT * FROM {latest_definitions(condition)} WHERE NOT is_deleted ORDER BY project_id, name)"
