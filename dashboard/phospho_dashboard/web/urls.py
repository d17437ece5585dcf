"""
The links of pages to items, whose ids may be any text, and those that carry filters.

A link to a fixed path, as to a page of settings, stands in its template.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote, urlencode

from starlette.convertors import PathConvertor, register_url_convertor


class AnyText(PathConvertor):
    """A parameter of a route that takes every character, slashes and line breaks included: `{session_id:any_text}`."""

    regex = "(?s:.+)"


register_url_convertor("any_text", AnyText())

_TWIN = ".json"


def item_path(path: str, item_id: str) -> str:
    """Return the path of one item of a list: any id, each of its characters that means something in a URL escaped."""
    return f"{path}/{quote(item_id, safe='')}"


def item_url(path: str, item_id: str, project_id: str) -> str:
    """Return the link to the page of one item of a project, without filters."""
    return with_query(item_path(path, item_id), {"project": project_id})


def sign_in_path(next_path: str) -> str:
    """Return the path of the form to sign in with, which leads back to `next_path`."""
    return with_query("/sign-in", {"next": next_path if next_path != "/" else None})


def with_query(path: str, query: Mapping[str, str | None]) -> str:
    """Return `path` with a query of the parameters that are not empty."""
    given = {name: value for name, value in query.items() if value}
    # The twin of "a" and the page of "a.json" have one path; this says which is meant.
    given |= {"as": "page"} if path.endswith(_TWIN) and path.count("/") > 1 else {}
    return f"{path}?{urlencode(given)}" if given else path


def twin_of(path: str, query: Mapping[str, str | None]) -> str:
    """Return the JSON twin of a page."""
    given = {name: value for name, value in query.items() if value and name != "as"}
    twin = f"{'/dashboard' if path == '/' else path}{_TWIN}"
    return f"{twin}?{urlencode(given)}" if given else twin


def asks_for_twin(item_id: str, query: Mapping[str, str]) -> bool:
    """Return whether the id at the end of a path is meant to be that of a twin."""
    return item_id.endswith(_TWIN) and query.get("as") != "page"


def without_twin(item_id: str) -> str:
    """Return the id in the path of a twin."""
    return item_id.removesuffix(_TWIN)
