"""The saved queries of a project, for the API and the page."""

from __future__ import annotations

from typing import Any, get_args

from phospho_dashboard.saved_views.named_rows import NamedRows
from phospho_dashboard.services import Services
from phospho_schemas.rows.saved import QueryChart, SavedQuery
from phospho_schemas.times import utc_now
from phospho_store.registry.saved import SavedRepository, query_id
from phospho_web.problems import Problem

CHARTS: tuple[str, ...] = get_args(QueryChart)


def checked_chart(name: str) -> QueryChart:
    """Return the chart of that name, by default "auto"; Problem 422 for an unknown one."""
    if name and name not in CHARTS:
        raise Problem(422, "invalid_chart", f"there is no chart {name[:40]!r}", f"one of: {', '.join(CHARTS)}")
    return name or "auto"  # type: ignore[return-value]


class SavedQueries:
    """List, save and remove queries. Blocking; raises Problem 404, 409 and 422, and what the store raises."""

    def __init__(self, services: Services) -> None:
        repository = SavedRepository(SavedQuery, services.store, services.clock)
        self._queries = NamedRows(repository, "query", "queries")
        self.query = self._queries.row
        self.remove = self._queries.remove

    def rows(self, project_id: str) -> list[dict[str, Any]]:
        """Return the saved queries in the order of their names."""
        return [public_query(query) for query in self._queries.rows(project_id)]

    def save(self, project_id: str, name: str, sql: str, *, chart: QueryChart, author: str) -> SavedQuery:
        """Save a query under a name, in place of the one that has it."""
        self._queries.check_name(name)
        if not sql.strip():
            raise Problem(422, "invalid_query", "the query is empty", "write one first")
        query = SavedQuery(
            project_id=project_id,
            query_id=query_id(project_id, name),
            name=name,
            sql=sql,
            chart=chart,
            created_by=author,
            created_at=utc_now(),
        )
        return self._queries.save(query)


def public_query(query: SavedQuery) -> dict[str, Any]:
    """Return the fields that readers see."""
    fields = {"query_id", "name", "sql", "chart", "created_by", "created_at"}
    return query.model_dump(mode="json", include=fields)
