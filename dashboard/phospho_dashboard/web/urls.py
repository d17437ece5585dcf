"""Links to items, whose ids may be any text, and links that carry filters. Templates write links to fixed paths."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote, urlencode

from starlette.convertors import PathConvertor, register_url_convertor


class AnyText(PathConvertor):
    """A route parameter that takes every character, slashes and line breaks included: `{session_id:any_text}`."""

    regex = "(?s:.+)"


register_url_convertor("any_text", AnyText())

_TWIN_ENDING = ".json"


def item_path(path: str, item_id: str) -> str:
    """Return the path of one item of a list: the id may be any text, and is escaped."""
    return f"{path}/{quote(item_id, safe='')}"


def item_url(path: str, item_id: str, project_id: str) -> str:
    """Return the link to the page of one item of a project, without filters."""
    return with_query(item_path(path, item_id), {"project": project_id})


def sign_in_path(next_path: str) -> str:
    """Return the path of the sign-in form, which leads back to `next_path`."""
    return with_query("/sign-in", {"next": next_path if next_path != "/" else None})


def with_query(path: str, query: Mapping[str, str | None]) -> str:
    """Return `path` with a query of the parameters that are not empty."""
    parameters = {name: value for name, value in query.items() if value}
    # The twin of "a" and the page of "a.json" have one path; this says which is meant.
    parameters |= {"as": "page"} if path.endswith(_TWIN_ENDING) and path.count("/") > 1 else {}
    return f"{path}?{urlencode(parameters)}" if parameters else path


def twin_url(path: str, query: Mapping[str, str | None]) -> str:
    """Return the JSON twin of a page."""
    parameters = {name: value for name, value in query.items() if value and name != "as"}
    twin = f"{'/dashboard' if path == '/' else path}{_TWIN_ENDING}"
    return f"{twin}?{urlencode(parameters)}" if parameters else twin


def is_twin_request(item_id: str, query: Mapping[str, str]) -> bool:
    """Tell whether the id at the end of a path stands for an item's twin."""
    return item_id.endswith(_TWIN_ENDING) and query.get("as") != "page"


def without_twin_ending(item_id: str) -> str:
    """Return the id in the path of a twin."""
    return item_id.removesuffix(_TWIN_ENDING)
