"""Queries of users: a SELECT over the views of one's own project, DESCRIBE and SHOW, within rows and limits."""

from __future__ import annotations

from collections.abc import Mapping

from phospho_dashboard.services import Services
from phospho_dashboard.sql.describe import described
from phospho_dashboard.sql.explanations import explained
from phospho_dashboard.sql.guard import SqlGuard
from phospho_dashboard.sql.isolation import isolation_settings
from phospho_dashboard.sql.project_views import with_project_views
from phospho_store.errors import StatementRefused, StoreUnavailable
from phospho_web.problems import Problem

# ClickHouse's error codes of exceeded limits.
_TOO_SLOW, _TOO_MUCH_MEMORY = 159, 241
_TOO_LARGE = frozenset({158, 396})
_PAGE_MAX_BYTES = 20_000_000


class SqlQueries:
    """Run users' statements. Blocking; Problem names the statement's fault."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._guard = SqlGuard(services.sql_store)

    def result(self, project_id: str, sql: str, format_name: str) -> bytes:
        """Return all rows of a statement in one of ClickHouse's formats."""
        max_bytes = self._services.settings.sql_max_result_bytes
        return self._result(project_id, sql, format_name, max_bytes=max_bytes)

    def first_rows(self, project_id: str, sql: str, max_rows: int) -> bytes:
        """Return at most `max_rows` of a statement, as JSONCompact."""
        return self._result(project_id, sql, "JSONCompact", max_bytes=_PAGE_MAX_BYTES, max_rows=max_rows)

    def _result(
        self, project_id: str, sql: str, format_name: str, *, max_bytes: int, max_rows: int | None = None
    ) -> bytes:
        settings = isolation_settings(project_id, self._services.store.database, self._services.settings)
        if max_rows is not None:
            settings |= {"limit": str(max_rows)}
        description = described(sql)
        if description is not None:
            statement, parameters = description
            return self._services.sql_store.raw(statement, format_name, parameters, settings)
        statement = self._guard.checked(sql)
        try:
            return self._rows(project_id, statement, format_name, settings, max_bytes=max_bytes)
        except (StatementRefused, StoreUnavailable) as error:
            raise self._problem(error, sql) from error

    def _rows(
        self, project_id: str, statement: str, format_name: str, settings: Mapping[str, str], *, max_bytes: int
    ) -> bytes:
        store = self._services.sql_store
        shorter = with_project_views(self._services.store, project_id, statement)
        try:
            # ClickHouse limits its blocks. In JSON each row repeats the names of the columns, which count here.
            return store.raw_within(max_bytes, shorter, format_name, settings)
        except StatementRefused as error:
            if shorter == statement or error.code in _TOO_LARGE:
                raise
            # The message quotes what ran: the user's statement, not our views in front of it.
            return store.raw_within(max_bytes, statement, format_name, settings)

    def _problem(self, error: StatementRefused | StoreUnavailable, sql: str) -> Exception:
        code = getattr(error, "code", None) or getattr(error.__cause__, "code", None)
        settings = self._services.settings
        if code == _TOO_SLOW:
            return Problem(
                422, "query_too_slow", f"the query took longer than {settings.sql_timeout_s} s", "read less: add WHERE"
            )
        if code == _TOO_MUCH_MEMORY:
            limit = f"{settings.sql_max_memory_bytes:,} bytes"
            return Problem(422, "query_too_large", f"the query needed more than {limit} of memory", "group by less")
        if code in _TOO_LARGE:
            limit = f"{settings.sql_max_result_rows:,} rows or {settings.sql_max_result_bytes:,} bytes"
            return Problem(422, "result_too_large", f"the result is larger than {limit}", "add LIMIT, or aggregate")
        if isinstance(error, StoreUnavailable):
            return error
        return explained(error, sql)
