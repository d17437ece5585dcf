"""The reader of the query API, for `phospho.tasks` and `phospho.sessions`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from ._content.json_values import encode
from ._delivery.connection import Answer, Connection, NoAnswerError
from ._delivery.http import error_message, identity_headers
from .config import Settings
from .errors import APIError, NotFoundError

__all__ = ["Reader", "sql_literal"]


class Reader:
    """
    Sends blocking requests to the query API, each on a connection of its own. Thread-safe.

    Raises:
        NotFoundError: the server answered 404.
        APIError: the server answered another error, or not at all.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def get(self, path: str, parameters: Mapping[str, Any] | None = None) -> Any:
        """Return the JSON at *path*."""
        query = urlencode({name: value for name, value in (parameters or {}).items() if value is not None})
        return _document(self._request("GET", f"{path}?{query}" if query else path, None))

    def rows(self, query: str) -> list[dict[str, Any]]:
        """Return the rows of a SELECT over the project's views, such as `tasks` and `events`."""
        body = encode({"query": query, "format": "JSONEachRow"})
        answer = self._request("POST", "/api/v1/sql", body)
        lines = [line for line in answer.body.splitlines() if line.strip()]
        return [_document(answer._replace(body=line)) for line in lines]

    def _request(self, method: str, path: str, body: bytes | None) -> Answer:
        headers = {**identity_headers(self._settings), "Content-Type": "application/json"}
        connection = Connection(self._settings.base_url, self._settings.request_timeout_s)
        try:
            answer = connection.request(method, path, body, headers)
        except NoAnswerError as error:
            raise APIError(0, f"no answer from {self._settings.base_url}: {error}. Check base_url=") from error
        finally:
            connection.close()
        if answer.status == 404:
            raise NotFoundError(404, error_message(answer))
        if not 200 <= answer.status < 300:
            raise APIError(answer.status, error_message(answer))
        return answer


def sql_literal(text: str) -> str:
    """Return *text* as a string literal of ClickHouse's SQL."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _document(answer: Answer) -> Any:
    try:
        return json.loads(answer.body)
    except (ValueError, RecursionError) as error:
        raise APIError(answer.status, "the answer is not JSON, so base_url= may not be a phospho server") from error
