"""The API of users' SQL, /api/v1/sql: a SELECT over the views of one's own project, within its rows and limits."""

from __future__ import annotations

import re

from starlette.requests import Request
from starlette.responses import Response

from phospho_dashboard.services import ApiEndpoints, Services
from phospho_dashboard.settings import DashboardSettings
from phospho_dashboard.sql.guard import VIEWS, SqlGuard
from phospho_dashboard.sql.project_views import with_project_views
from phospho_schemas.ids import is_project_id
from phospho_store.errors import StatementRefused, StoreUnavailable
from phospho_store.registry.authentication import SECRET_TABLES
from phospho_web.endpoints import api_endpoint
from phospho_web.openapi import TEXT, object_schema
from phospho_web.problems import Problem
from phospho_web.requests import text_field

_TABLES_OF_PROJECTS = (
    "task_rows",
    "analysis_rows",
    "feedback_rows",
    "step_rows",
    "log_part_rows",
    "dead_letter_rows",
    "dead_letter_action_rows",
    "receipt_rows",
    "ledger_rows",
    "definition_rows",
    "label_rows",
    "note_rows",
    "classifier_rows",
    "student_rows",
    "session_analysis_rows",
    "session_close_rows",
    "backfill_rows",
    "judgement_rows",
    "llm_call_rows",
    "theme_model_rows",
    "theme_rows",
    "theme_fact_rows",
    "theme_edit_rows",
    "theme_refresh_rows",
    "theme_run_rows",
    "board_rows",
)
# No view reads these; the filter stands behind the guard.
_CLOSED_TABLES = (
    "project_rows",
    "alert_rows",
    "alert_evaluation_rows",
    "webhook_rows",
    "webhook_delivery_rows",
    "session_task_rows",
    "deletion_rows",
    "tombstone_rows",
    "audit_rows",
    "job_member_rows",
    "job_generation_rows",
    "rollup_rows",
    "rollup_hour_rows",
    "rollup_watermark_rows",
    "schema_migrations",
    *SECRET_TABLES,
)
_BLOCK_ROWS = 8_192


def project_filters(project_id: str, database: str) -> str:
    """
    Return the value of `additional_table_filters` that leaves the rows of one project in every table.

    ClickHouse puts the filter onto the table's own reading, under every view, subquery and join. Nothing is
    escaped: an id that could need it is refused with Problem 403.
    """
    if not is_project_id(project_id):
        raise Problem(403, "invalid_project", "the id of this project can't be used in SQL")
    filtered = [f"'{database}.{table}': 'project_id = ''{project_id}'''" for table in _TABLES_OF_PROJECTS]
    closed = [f"'{database}.{table}': '0'" for table in _CLOSED_TABLES]
    return "{" + ", ".join(filtered + closed) + "}"


def isolation_settings(project_id: str, database: str, settings: DashboardSettings) -> dict[str, str]:
    """
    Return the settings of one statement.

    Without `readonly`: the embedded engine sets them on its handle and restores them after the statement, and
    `readonly` forbids the restoring. The guard lets nothing but a SELECT through.
    """
    return {
        "additional_table_filters": project_filters(project_id, database),
        # It remembers which granules a condition matched, without the filter: another project's answer.
        "use_query_condition_cache": "0",
        "max_execution_time": str(settings.sql_timeout_s),
        "timeout_overflow_mode": "throw",
        # The time is looked at between blocks; smaller ones are gone through sooner.
        "max_block_size": str(_BLOCK_ROWS),
        "max_memory_usage": str(settings.sql_max_memory_bytes),
        "max_result_rows": str(settings.sql_max_result_rows),
        "max_result_bytes": str(settings.sql_max_result_bytes),
        "result_overflow_mode": "throw",
        # The number of rows read is that of all projects.
        "output_format_write_statistics": "0",
        "output_format_json_quote_64bit_integers": "0",
        "output_format_json_validate_utf8": "1",
        "output_format_pretty_color": "0",
    }


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

# ClickHouse's error codes of exceeded limits.
_TOO_SLOW, _TOO_MUCH_MEMORY = 159, 241
_TOO_LARGE = frozenset({158, 396})


class SqlApi(ApiEndpoints):
    """The endpoint of users' SQL."""

    def __init__(self, services: Services) -> None:
        super().__init__(services)
        self._guard = SqlGuard(services.sql_store)

    @api_endpoint(
        "post",
        "/sql",
        "Run a SQL query",
        {},
        description=f"One SELECT over {', '.join(VIEWS)}, of one's own project: read-only, and limited in "
        "time, memory and rows by ClickHouse itself. The answer is in the requested format.",
        success="The rows.",
        answer_types=tuple(sorted({media_type.partition(";")[0] for media_type in MEDIA_TYPES.values()})),
        body=object_schema(["query"], query=TEXT, format={"enum": list(MEDIA_TYPES), "default": "JSON"}),
    )
    async def query(self, request: Request) -> Response:
        project_id = await self._access.api_project(request, "viewer")
        content = await self._body(request)
        sql = text_field(content, "query", max_length=self._services.settings.sql_max_query_bytes)
        format_name = text_field(content, "format", "JSON")
        if format_name not in MEDIA_TYPES:
            raise Problem(
                422, "unknown_format", f"there is no format {format_name!r}", f"one of: {', '.join(MEDIA_TYPES)}"
            )
        body = await self._services.sql_threads.run(project_id, self.result, project_id, sql, format_name)
        headers = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
        return Response(body, headers=headers, media_type=MEDIA_TYPES[format_name])

    def result(self, project_id: str, sql: str, format_name: str) -> bytes:
        """Return the rows of a user's statement. Blocking; Problem names the statement's fault."""
        statement = self._guard.checked(sql)
        shorter = with_project_views(self._services.store, project_id, statement)
        try:
            return self._rows(project_id, shorter, statement, format_name)
        except (StatementRefused, StoreUnavailable) as error:
            raise self._problem(error, statement) from error

    def _rows(self, project_id: str, shorter: str, statement: str, format_name: str) -> bytes:
        settings = isolation_settings(project_id, self._services.store.database, self._services.settings)
        # ClickHouse limits its blocks. In JSON each row repeats the names of the columns, which count here.
        max_bytes = self._services.settings.sql_max_result_bytes
        try:
            return self._services.sql_store.raw_within(max_bytes, shorter, format_name, settings)
        except StatementRefused as error:
            if shorter == statement or error.code in _TOO_LARGE:
                raise
            # The message quotes what ran: the user's statement, not our views in front of it.
            return self._services.sql_store.raw_within(max_bytes, statement, format_name, settings)

    def _problem(self, error: StatementRefused | StoreUnavailable, statement: str) -> Exception:
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
        return Problem(400, "query_failed", str(error)[:2000], _columns_hint(statement))


def _columns_hint(statement: str) -> str:
    """Return how to see the columns of the views that a statement names, or which views there are."""
    views = [view for view in VIEWS if re.search(rf"\b{view}\b", statement)]
    if not views:
        return f"the views are: {', '.join(VIEWS)}"
    return "to see the columns: " + "; ".join(f"SELECT * FROM {view} LIMIT 1" for view in views)
