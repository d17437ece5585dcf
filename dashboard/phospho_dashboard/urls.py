"""Every link that the pages make, built in one place."""

from __future__ import annotations

from urllib.parse import quote, urlencode

from starlette.convertors import PathConvertor, register_url_convertor


class AnyText(PathConvertor):
    """A parameter of a route that takes every character, slashes and line breaks included: `{session_id:any_text}`."""

    regex = "(?s:.+)"


register_url_convertor("any_text", AnyText())


def sessions_path(*, is_json: bool = False, **query: str | None) -> str:
    """Return the path of the list of sessions; what is empty is left out of the query."""
    return ("/sessions.json" if is_json else "/sessions") + _query(query)


def session_path(session_id: str, *, is_json: bool = False, **query: str | None) -> str:
    """Return the path of a transcript. Any id: each of its characters that means something in a URL is escaped."""
    path = f"/sessions/{quote(session_id, safe='')}"
    if is_json:
        return f"{path}.json{_query(query)}"
    # The twin of "a" and the page of "a.json" have one path; this says which is meant.
    return path + _query(query | {"as": "page" if session_id.endswith(".json") else None})


def _query(query: dict[str, str | None]) -> str:
    given = {name: value for name, value in query.items() if value}
    return f"?{urlencode(given)}" if given else ""
