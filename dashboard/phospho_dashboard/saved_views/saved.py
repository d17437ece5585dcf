"""The saved views of a project, for the API and the lists."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, get_args
from urllib.parse import parse_qsl, urlencode

from phospho_dashboard.queries.filters import Filters, url_names
from phospho_dashboard.saved_views.named_rows import NamedRows
from phospho_dashboard.services import Services
from phospho_dashboard.web.urls import with_query
from phospho_schemas.rows.saved import MAX_QUERY_CHARACTERS, SavedView, ViewPage
from phospho_schemas.times import utc_now
from phospho_store.registry.saved import SavedRepository, view_id
from phospho_web.problems import Problem

PAGES: tuple[str, ...] = get_args(ViewPage)


class SavedViews:
    """List, save and remove views. Blocking; raises Problem 400, 404, 409 and 422, and what the store raises."""

    def __init__(self, services: Services) -> None:
        repository = SavedRepository(SavedView, services.store, services.clock)
        self._views = NamedRows(repository, "view", "views")
        self.remove = self._views.remove

    def rows(self, project_id: str, page: str = "") -> list[dict[str, Any]]:
        """Return the views of one list, or of all, in the order of their names."""
        return [public_view(view) for view in self._views.rows(project_id) if page in ("", view.page)]

    def of_list(
        self, project_id: str, page: str, query: Mapping[str, str], columns: Sequence[str]
    ) -> dict[str, object]:
        """Return the views of a list and its own query, for its template."""
        parameters = dict(parse_qsl(kept_query(urlencode(list(query.items())))))
        parameters |= {"columns": ",".join(columns)} if columns else {}
        return {"saved_views": self.rows(project_id, page), "list_page": page, "list_query": urlencode(parameters)}

    def save(self, project_id: str, *, page: str, name: str, query: str, author: str) -> SavedView:
        """Save a view under a name, in place of the one that has it."""
        if page not in PAGES:
            raise Problem(422, "invalid_page", "there is no such list", f"one of: {', '.join(PAGES)}")
        self._views.check_name(name)
        view = SavedView(
            project_id=project_id,
            view_id=view_id(project_id, page, name),
            page=page,  # type: ignore[arg-type]
            name=name,
            query=kept_query(query),
            created_by=author,
            created_at=utc_now(),
        )
        return self._views.save(view)


def kept_query(query: str) -> str:
    """Return the filters, the order and the columns in a query. Raises Problem: 400 for filters that are none."""
    if len(query) > MAX_QUERY_CHARACTERS:
        raise Problem(422, "invalid_query", f"the query has more than {MAX_QUERY_CHARACTERS} characters")
    names = {*url_names(), "sort", "columns"}
    fields = {name: value for name, value in parse_qsl(query.removeprefix("?")) if name in names and value}
    Filters.from_query(fields)
    return urlencode(fields)


def view_path(view: SavedView) -> str:
    """Return the address of a list as a view has it."""
    return with_query(f"/{view.page}", {"project": view.project_id, **dict(parse_qsl(view.query))})


def public_view(view: SavedView) -> dict[str, Any]:
    """Return the fields that readers see."""
    fields = {"view_id", "page", "name", "query", "created_by", "created_at"}
    return view.model_dump(mode="json", include=fields) | {"path": view_path(view)}
