"""Read a project into lists and data frames: `Query().tasks(event="refund").to_pandas()`."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial
from importlib import import_module
from itertools import islice
from typing import Any, Callable

from ._reader import Reader, sql_literal
from .config import DEFAULT_RETRY, Settings
from .errors import APIError

__all__ = ["Query", "Rows"]

_ATTEMPTS = 5
# No answer, too many requests, or a server that is away: the same request may do later.
_PASSING = frozenset({0, 429, 502, 503, 504})
_API_PAGE = 500
_SQL_PAGE = 10_000
# The order of events, and how a page goes on after the last one.
_EVENT_KEY = "(toUnixTimestamp64Milli(created_at), task_id, id)"


class Rows(list[dict[str, Any]]):
    """Rows as dictionaries. A data frame of them needs the library of that name."""

    def to_pandas(self) -> Any:
        """Return a `pandas.DataFrame`."""
        return import_module("pandas").DataFrame.from_records(self)

    def to_polars(self) -> Any:
        """Return a `polars.DataFrame`."""
        polars = import_module("polars")
        return polars.from_dicts(self, infer_schema_length=None) if self else polars.DataFrame()

    def to_arrow(self) -> Any:
        """Return a `pyarrow.Table`."""
        return import_module("pyarrow").Table.from_pylist(self)


class Query:
    """
    A blocking reader of one project. Thread-safe.

    Without arguments it takes PHOSPHO_BASE_URL, PHOSPHO_API_KEY and PHOSPHO_PROJECT_ID. Each method raises APIError
    for an error of the server, after five attempts where it does not answer or says 429, 502, 503 or 504.
    """

    def __init__(
        self,
        api_key: str | None = None,
        project_id: str | None = None,
        base_url: str = "",
        timeout_s: float = 30.0,
    ) -> None:
        settings = Settings(api_key=api_key, project_id=project_id, base_url=base_url, request_timeout_s=timeout_s)
        self._reader = Reader(settings.with_environment())

    def sql(self, query: str) -> Rows:
        """Return the rows of one SELECT over the project's views: at most 100,000."""
        return Rows(_retried(partial(self._reader.rows, query)))

    def tasks(self, limit: int | None = None, **filters: Any) -> Rows:
        """Return tasks, the newest first. Filters are those of the API: `period`, `event`, `user`, `q` …"""
        return self._listed("tasks", limit, filters)

    def sessions(self, limit: int | None = None, **filters: Any) -> Rows:
        """Return sessions, the newest first. Filters as of `tasks`."""
        return self._listed("sessions", limit, filters)

    def events(self, name: str | None = None, limit: int | None = None) -> Rows:
        """Return events, the oldest first; of one name, or all."""
        return Rows(islice(self._event_pages(name), limit))

    def _listed(self, what: str, limit: int | None, filters: dict[str, Any]) -> Rows:
        return Rows(islice(self._pages(what, filters), limit))

    def _pages(self, what: str, filters: dict[str, Any]) -> Iterator[dict[str, Any]]:
        parameters = {**filters, "limit": _API_PAGE}
        while True:
            page = _retried(partial(self._reader.get, f"/api/v1/{what}", parameters))
            yield from page[what]
            if page["next_cursor"] is None:
                return
            parameters = {**parameters, "cursor": page["next_cursor"]}

    def _event_pages(self, name: str | None) -> Iterator[dict[str, Any]]:
        of_name = f"name = {sql_literal(name)}" if name is not None else "1"
        after = "1"
        while True:
            query = (
                f"SELECT *, toUnixTimestamp64Milli(created_at) AS at_ms FROM events WHERE {of_name} AND {after}"
                f" ORDER BY {_EVENT_KEY} LIMIT {_SQL_PAGE}"
            )
            rows = self.sql(query)
            at_ms = 0
            for row in rows:
                at_ms = int(row.pop("at_ms"))
                yield row
            if len(rows) < _SQL_PAGE:
                return
            last = rows[-1]
            after = f"{_EVENT_KEY} > ({at_ms}, {sql_literal(last['task_id'])}, {sql_literal(last['id'])})"


def _retried(read: Callable[[], Any]) -> Any:
    """Return what a read returns, tried again where the server can't answer now."""
    for attempt in range(_ATTEMPTS - 1):
        try:
            return read()
        except APIError as error:
            if error.status not in _PASSING:
                raise
            time.sleep(DEFAULT_RETRY.delay_s(attempt))
    return read()
