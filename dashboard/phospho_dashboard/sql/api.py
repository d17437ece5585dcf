"""POST /api/v1/sql: a SELECT over the views of one's own project."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from phospho_dashboard.auth.access import Access
from phospho_dashboard.services import Services
from phospho_dashboard.sql.guard import SqlGuard
from phospho_dashboard.sql.isolation import isolation_settings
from phospho_store.errors import StatementRefused, StoreUnavailable
from phospho_web.bodies import read_object, text_field
from phospho_web.problems import Problem

_TEXT = "text/plain; charset=utf-8"
MEDIA_TYPES = {
    "TSV": "text/tab-separated-values; charset=utf-8",
    "TSVWithNames": "text/tab-separated-values; charset=utf-8",
    "CSV": "text/csv; charset=utf-8",
    "CSVWithNames": "text/csv; charset=utf-8; header=present",
    "JSON": "application/json",
    "JSONEachRow": "application/x-ndjson",
    "JSONCompact": "application/json",
    "Pretty": _TEXT,
    "PrettyCompact": _TEXT,
    "Markdown": "text/markdown; charset=utf-8",
    "Vertical": _TEXT,
    "Parquet": "application/vnd.apache.parquet",
    "Arrow": "application/vnd.apache.arrow.file",
}

# ClickHouse's codes of a limit that tripped.
_TOO_SLOW, _TOO_MUCH_MEMORY = 159, 241
_TOO_LARGE = frozenset({158, 396})


class SqlApi:
    """The endpoint of users' SQL."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._access = Access(services)
        self._guard = SqlGuard(services.sql_store)

    async def query(self, request: Request) -> Response:
        project_id = await self._access.of_api_project(request, "viewer")
        content = await read_object(request, self._services.settings.max_body_bytes)
        sql = text_field(content, "query", max_length=self._services.settings.sql_max_query_bytes)
        fmt = text_field(content, "format", "JSON")
        if fmt not in MEDIA_TYPES:
            raise Problem(422, "unknown_format", f"there is no format {fmt!r}", f"one of: {', '.join(MEDIA_TYPES)}")
        body = await self._services.sql_threads.run(self.result, project_id, sql, fmt)
        headers = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
        return Response(body, headers=headers, media_type=MEDIA_TYPES[fmt])

    def result(self, project_id: str, sql: str, fmt: str) -> bytes:
        """Return the rows of a user's statement. Blocking; Problem says what the statement did wrong."""
        statement = self._guard.checked(sql)
        settings = isolation_settings(project_id, self._services.settings)
        # What ClickHouse bounds are its blocks. The names of columns stand in JSON once a row, and count here.
        most = self._services.settings.sql_max_result_bytes
        try:
            return self._services.sql_store.raw_within(most, statement, fmt, settings)
        except (StatementRefused, StoreUnavailable) as error:
            raise self._problem(error) from error

    def _problem(self, error: StatementRefused | StoreUnavailable) -> Exception:
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
        return Problem(400, "query_failed", str(error)[:2000], "the views' columns: SELECT * FROM tasks LIMIT 1")
