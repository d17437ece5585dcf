"""Exports: the filtered tasks, sessions or users as a file, in one of ClickHouse's formats."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from zoneinfo import ZoneInfo

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from phospho_dashboard.layout.views import ViewRequestReader
from phospho_dashboard.queries.filters import Scope
from phospho_dashboard.queries.zones import UTC_ZONE
from phospho_dashboard.services import Endpoints, Services
from phospho_dashboard.web.formats import FORMULA
from phospho_store.metadata import metadata_text
from phospho_store.sql import compose
from phospho_store.sql.analysed import analysed, session_facts
from phospho_store.sql.feedback import current_flag, last_feedback
from phospho_store.sql.sessions import SESSION_FACTS
from phospho_store.sql.themes import current_themes, theme_of
from phospho_store.store import Store
from phospho_web.problems import Problem
from phospho_web.responses import with_json_errors
from phospho_web.threads import joined, stream_chunks

MAX_ROWS = 200_000
_TIMEOUT_S = 120
_MAX_MEMORY_BYTES = 1_000_000_000


@dataclass(frozen=True)
class Format:
    """A format of files: ClickHouse's name, the media type, and whether it is a text, whose cells hold only text."""

    name: str
    media_type: str
    is_flat: bool
    is_text: bool = True


FORMATS = {
    "csv": Format("CSV", "text/csv; charset=utf-8; header=present", is_flat=True),
    "jsonl": Format("JSONEachRow", "application/x-ndjson", is_flat=False),
    "parquet": Format("Parquet", "application/vnd.apache.parquet", is_flat=False, is_text=False),
}

# The SQL of each column by its name.
_TASKS = {
    "task_id": "task.task_id", "session_id": "task.session_id", "user_id": "task.user_id",
    "version_id": "toString(task.version_id)", "created_at": "task.created_at", "input": "task.input",
    "output": "task.output", "flag": current_flag("last_feedback.flag", "task.logged_flag"),
    "model": "toString(task.model)", "tokens_in": "task.tokens_in", "tokens_out": "task.tokens_out",
    "latency_ms": "task.latency_ms", "theme": "theme.title", "events": "analysis.names",
    "language": "toString(analysis.language)",
    "sentiment": "toString(analysis.sentiment)", "sentiment_score": "analysis.sentiment_score",
    "metadata": "task.logged_metadata",
}  # fmt: skip
_TASKS_FROM = """
FROM
(
    SELECT task_id, session_id, user_id, version_id, created_at, input, output, toString(flag) AS logged_flag, model,
        tokens_in, tokens_out, latency_ms, $metadata AS logged_metadata
    FROM task_rows FINAL WHERE $tasks ORDER BY task_id LIMIT $most
) AS task
LEFT ANY JOIN
(
    SELECT task_id, $theme AS theme_id, anyIf(language, is_task) AS language, anyIf(sentiment, is_task) AS sentiment,
        anyIf(sentiment_score, is_task) AS sentiment_score, arraySort(groupArrayArray(names)) AS names
    FROM $analysed GROUP BY task_id
) AS analysis ON task.task_id = analysis.task_id
LEFT ANY JOIN (SELECT theme_id, title FROM $themes) AS theme ON analysis.theme_id = theme.theme_id
LEFT ANY JOIN $feedback AS last_feedback ON task.task_id = last_feedback.task_id
"""
_SESSIONS = {
    "session_id": "task.session_id", **{name: f"task.{name}" for name in SESSION_FACTS}, "events": "analysis.names",
}  # fmt: skip
_SESSIONS_WITHIN = """session_id IN (
    SELECT DISTINCT session_id FROM task_rows FINAL WHERE $tasks ORDER BY session_id LIMIT $most
)"""
_SESSIONS_FROM = """
FROM $sessions AS task
LEFT ANY JOIN
(
    SELECT session_id, arraySort(groupUniqArrayArray(names)) AS names FROM $findings GROUP BY session_id
) AS analysis ON task.session_id = analysis.session_id
"""
_USERS = {
    "user_id": "task.user_id", "tasks": "task.tasks", "sessions": "task.sessions",
    "first_task_at": "task.first_task_at", "last_task_at": "task.last_task_at", "tokens": "task.tokens",
    "events": "analysis.event_names", "events_found": "analysis.found", "positive": "analysis.positive",
    "negative": "analysis.negative",
}  # fmt: skip
_USERS_FROM = """
FROM
(
    SELECT user_id, count() AS tasks, uniqExact(cityHash64(session_id)) AS sessions, min(created_at) AS first_task_at,
        max(created_at) AS last_task_at, sum(ifNull(tokens_in, 0)) + sum(ifNull(tokens_out, 0)) AS tokens
    FROM task_rows FINAL WHERE $tasks AND user_id != '' GROUP BY user_id ORDER BY user_id LIMIT $most
) AS task
LEFT ANY JOIN
(
    SELECT user_id, arraySort(groupUniqArrayArray(names)) AS event_names, sum(length(names)) AS found,
        countIf(sentiment = 'positive') AS positive, countIf(sentiment = 'negative') AS negative
    FROM $analysed GROUP BY user_id
) AS analysis ON task.user_id = analysis.user_id
"""
_COLUMNS = {"tasks": _TASKS, "sessions": _SESSIONS, "users": _USERS}
_COUNTS = {
    "tasks": "count()",
    "sessions": "uniqExact(session_id)",
    "users": "uniqExactIf(user_id, user_id != '')",
}
_TEXTS = frozenset(
    {"task_id", "session_id", "user_id", "version_id", "input", "output", "flag", "model", "theme", "metadata"}
)
_TIMES = frozenset({"created_at", "first_task_at", "last_task_at"})
_LISTS = frozenset({"events", "user_ids", "version_ids", "models"})


class Exports:
    """Read files. Each holds one connection of the store until it is read to its end, or closed."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def check(self, rows: str, scope: Scope) -> None:
        """Raise Problem 422 where there are more than MAX_ROWS."""
        sql = f"SELECT {_COUNTS[rows]} AS found FROM task_rows FINAL WHERE {scope.tasks()}"
        count = self._store.rows(sql, scope.parameters())[0]["found"]
        if count > MAX_ROWS:
            hint = "choose a shorter period or more filters, or page through the .json twin"
            raise Problem(422, "too_many_rows", f"an export has at most {MAX_ROWS:,} {rows}; these are {count:,}", hint)

    def chunks(self, rows: str, ending: str, scope: Scope, zone: ZoneInfo) -> Generator[bytes, None, None]:
        """
        Yield a file of `tasks`, `sessions` or `users` in the order of their ids; the first bytes with its errors.

        Times are written in `zone`, with their offset; Parquet has instants.
        """
        columns = _COLUMNS[rows]
        file_format = FORMATS[ending]
        sql = self._sql(rows, columns, file_format, scope, is_utc=zone == UTC_ZONE)
        stream = self._store.stream(sql, file_format.name, scope.parameters(zone=zone.key))
        with closing(stream):
            head = (",".join(columns) + "\r\n").encode() if file_format.name == "CSV" else b""
            yield head + next(stream, b"")
            yield from stream

    def _sql(self, rows: str, columns: Mapping[str, str], file_format: Format, scope: Scope, *, is_utc: bool) -> str:
        source = _SOURCES[rows](scope)
        selected = ", ".join(
            f"{_cell(name, column, file_format, is_utc=is_utc)} AS {name}" for name, column in columns.items()
        )
        return (
            f"SELECT {selected} {source} ORDER BY {next(iter(columns))}"
            f" SETTINGS max_execution_time = {_TIMEOUT_S}, max_memory_usage = {_MAX_MEMORY_BYTES},"
            " date_time_output_format = 'iso', output_format_csv_crlf_end_of_line = 1,"
            " format_csv_null_representation = '',"
            " output_format_json_quote_64bit_integers = 0, output_format_parquet_string_as_string = 1"
        )


def _tasks_source(scope: Scope) -> str:
    return compose(
        _TASKS_FROM,
        metadata=metadata_text(),
        tasks=scope.tasks(),
        most=str(MAX_ROWS),
        analysed=analysed(scope, "task_id", "language", "sentiment", "sentiment_score", "theme"),
        theme=theme_of("anyIf(theme, is_task)"),
        themes=current_themes("project_id = {project:String}"),
        feedback=last_feedback(scope.feedback()),
    )


def _sessions_source(scope: Scope) -> str:
    """Return the source of sessions with a task in `scope`. As on their page, the columns count all of their tasks."""
    within = compose(_SESSIONS_WITHIN, tasks=scope.tasks(), most=str(MAX_ROWS))
    findings = analysed(scope.of_project(), "session_id", within=within)
    return compose(_SESSIONS_FROM, sessions=session_facts(within), findings=findings)


def _users_source(scope: Scope) -> str:
    analyses = analysed(scope, "user_id", "sentiment")
    return compose(_USERS_FROM, tasks=scope.tasks(), most=str(MAX_ROWS), analysed=analyses)


_SOURCES = {"tasks": _tasks_source, "sessions": _sessions_source, "users": _users_source}


_FORMULA = FORMULA.replace("\\", "\\\\")
_ZONED = "formatDateTime(toTimeZone($column, {zone:String}), '%Y-%m-%dT%H:%i:%S.%f%z')"


def _cell(name: str, column: str, file_format: Format, *, is_utc: bool) -> str:
    """Return the SQL of a cell. A text that a spreadsheet would run as a formula gets a quote before it in CSV."""
    if name in _TIMES and file_format.is_text and not is_utc:
        return compose(_ZONED, column=column)
    if not file_format.is_flat:
        return column
    if name in _LISTS:
        column = f"arrayStringConcat({column}, ', ')"
    if name in _TEXTS or name in _LISTS:
        return rf"if(match({column}, '{_FORMULA}'), concat('\'', {column}), {column})"
    return column


EXPORTED_LISTS = ("sessions", "tasks", "users")


class ExportPages(Endpoints):
    """
    The endpoints of files, on connections and threads of their own: a large file holds up no page.

    A client that takes no chunk for `export_stall_s`, or not all of them within `export_timeout_s`, loses the rest.
    """

    def __init__(self, services: Services) -> None:
        super().__init__(services)
        self._reader = ViewRequestReader(services.store, services.registry)
        self._exports = Exports(services.export_store)

    def routes(self) -> list[BaseRoute]:
        """Return a route for each list and each format."""
        return [
            Route(f"/{rows}.{ending}", with_json_errors(partial(self.file, rows, ending)))
            for rows in EXPORTED_LISTS
            for ending in FORMATS
        ]

    async def file(self, rows: str, ending: str, request: Request) -> Response:
        visitor, project_id = await self._services.access.page_visitor_and_project(request)
        threads, settings = self._services.export_threads, self._services.settings
        view_request = await self._threads.run(self._reader.read, request, visitor, project_id)
        await threads.run(self._exports.check, rows, view_request.scope)
        chunks = self._exports.chunks(rows, ending, view_request.scope, view_request.zone)
        body = stream_chunks(threads, chunks, settings.export_stall_s, settings.export_timeout_s)
        # An error before the first rows is a response of its own. After them, the body breaks off.
        first = await anext(body, b"")
        headers = {
            "Cache-Control": "no-store",
            "Content-Disposition": f'attachment; filename="{rows}.{ending}"',
            "X-Content-Type-Options": "nosniff",
        }
        return StreamingResponse(joined(first, body), headers=headers, media_type=FORMATS[ending].media_type)
