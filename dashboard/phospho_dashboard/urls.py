"""Every link that the pages make, built in one place."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote, urlencode

from starlette.convertors import PathConvertor, register_url_convertor


class AnyText(PathConvertor):
    """A parameter of a route that takes every character, slashes and line breaks included: `{session_id:any_text}`."""

    regex = "(?s:.+)"


register_url_convertor("any_text", AnyText())


def sessions_path(*, is_json: bool = False, **query: str | None) -> str:
    """Return the path of the list of sessions; what is empty is left out of the query."""
    return with_query("/sessions.json" if is_json else "/sessions", query)


def session_path(session_id: str, *, is_json: bool = False, **query: str | None) -> str:
    """Return the path of a transcript. Any id: each of its characters that means something in a URL is escaped."""
    path = f"/sessions/{quote(session_id, safe='')}"
    if is_json:
        return with_query(f"{path}.json", query)
    # The twin of "a" and the page of "a.json" have one path; this says which is meant.
    return with_query(path, query | {"as": "page" if session_id.endswith(".json") else None})


def with_query(path: str, query: Mapping[str, str | None]) -> str:
    """Return `path` with a query of the parameters that are not empty."""
    given = {name: value for name, value in query.items() if value}
    return f"{path}?{urlencode(given)}" if given else path
