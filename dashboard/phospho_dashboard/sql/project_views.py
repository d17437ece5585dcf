"""
The views of events and sessions for users' SQL, as a project needs them.

The views in ClickHouse join what any project may have: judgements, labels, findings of sessions. Planning that takes
most of the time of a small query. A project without some of them gets the same rows from a shorter query.
"""

from __future__ import annotations

import re

from phospho_store.annotations.corrections import read_corrections
from phospho_store.store import Store
from phospho_store.views import views

_SHORTER = ("events", "sessions")
# A WITH of the user's own stays the first, and a name of our tables keeps its meaning.
_SELECT = "SELECT "
_OWN_TABLE = re.compile(r"_rows\b")


def with_project_views(store: Store, project_id: str, statement: str) -> str:
    """
    Return a checked statement with its views of events and sessions defined for one project. Blocking.

    A statement that begins otherwise than with SELECT, names a table of ours, or has a subquery of such a name, stays
    as it is.
    """
    names = [name for name in _SHORTER if _reads(statement, name)]
    if not names or not statement.startswith(_SELECT) or _OWN_TABLE.search(statement):
        return statement
    corrections, _ = read_corrections(store, project_id)
    queries = views(corrections)
    return f"WITH {', '.join(f'{name} AS ({queries[name]})' for name in names)} {statement}"


def _reads(statement: str, name: str) -> bool:
    is_named = re.search(rf"\b{name}\b", statement)
    is_own = re.search(rf"\b{name}`? AS \(", statement)
    return bool(is_named) and not is_own
