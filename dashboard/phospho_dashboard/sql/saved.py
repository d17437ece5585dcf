"""The saved queries of a project, for the API and the page."""

from __future__ import annotations

from typing import Any, get_args

from phospho_dashboard.services import Services
from phospho_schemas.rows.saved_queries import MAX_NAME_CHARACTERS, QueryChart, SavedQuery
from phospho_schemas.times import utc_now
from phospho_store.registry.saved_queries import SavedQueryRepository, query_id
from phospho_web.problems import Problem

MAX_QUERIES = 200
CHARTS: tuple[str, ...] = get_args(QueryChart)


def checked_chart(name: str) -> QueryChart:
    """Return the chart of that name, by default "auto"; Problem 422 for an unknown one."""
    if name and name not in CHARTS:
        raise Problem(422, "invalid_chart", f"there is no chart {name[:40]!r}", f"one of: {', '.join(CHARTS)}")
    return name or "auto"  # type: ignore[return-value]


class SavedQueries:
    """List, save and remove queries. Blocking; raises Problem 404, 409 and 422, and what the store raises."""

    def __init__(self, services: Services) -> None:
        self._repository = SavedQueryRepository(services.store, services.clock)

    def rows(self, project_id: str) -> list[dict[str, Any]]:
        """Return the saved queries in the order of their names."""
        return [public_query(query) for query in self._repository.queries(project_id)]

    def query(self, project_id: str, saved_id: str) -> SavedQuery:
        """Return one saved query."""
        query = next((query for query in self._repository.queries(project_id) if query.query_id == saved_id), None)
        if query is None:
            raise Problem(
                404, "unknown_query", f"there is no saved query {saved_id[:64]!r}", "it may have been removed"
            )
        return query

    def save(self, project_id: str, name: str, sql: str, *, chart: QueryChart, author: str) -> SavedQuery:
        """Save a query under a name, in place of the one that has it."""
        if not name or len(name) > MAX_NAME_CHARACTERS:
            raise Problem(422, "invalid_name", f"a name has 1 to {MAX_NAME_CHARACTERS} characters", "name the query")
        if not sql.strip():
            raise Problem(422, "invalid_query", "the query is empty", "write one first")
        saved_id = query_id(project_id, name)
        others = [query for query in self._repository.queries(project_id) if query.query_id != saved_id]
        if len(others) >= MAX_QUERIES:
            raise Problem(409, "too_many_queries", f"a project has {MAX_QUERIES} saved queries at most", "remove one")
        return self._repository.save(
            SavedQuery(
                project_id=project_id,
                query_id=saved_id,
                name=name,
                sql=sql,
                chart=chart,
                created_by=author,
                created_at=utc_now(),
            )
        )

    def remove(self, project_id: str, saved_id: str) -> None:
        """Remove a saved query."""
        query = self.query(project_id, saved_id)
        self._repository.save(query.model_copy(update={"is_deleted": True}))


def public_query(query: SavedQuery) -> dict[str, Any]:
    """Return the fields that readers see."""
    fields = {"query_id", "name", "sql", "chart", "created_by", "created_at"}
    return query.model_dump(mode="json", include=fields)
