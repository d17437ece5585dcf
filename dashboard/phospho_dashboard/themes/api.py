"""The API of themes: edits and refreshes. The list and one theme are views."""

from __future__ import annotations

from typing import Any, get_args

from starlette.requests import Request
from starlette.responses import Response

from phospho_dashboard.analytics.api import filter_parameters
from phospho_dashboard.detection import Detection
from phospho_dashboard.services import ROWS, ApiEndpoints, Services
from phospho_dashboard.themes.definition import ThemeDefinitions
from phospho_dashboard.themes.edits import ThemeEdits
from phospho_dashboard.themes.themes import SORTS
from phospho_schemas.messages import EventDefinition
from phospho_schemas.rows.themes import MAX_TITLE_CHARACTERS, ThemeEdit, ThemeSide
from phospho_web.endpoints import api_endpoint
from phospho_web.openapi import ANY_OBJECT, TEXT, Operation, object_schema, query_parameter
from phospho_web.problems import Problem
from phospho_web.responses import json_response

_EDIT = object_schema(["theme"], theme=ANY_OBJECT)
_BOOLEAN = {"type": "boolean"}
_TITLE = TEXT | {"maxLength": MAX_TITLE_CHARACTERS}
_CHANGES: dict[str, type] = {"title": str, "is_hidden": bool, "is_pinned": bool}


def theme_operations() -> list[Operation]:
    """Return the operations of the views of themes."""
    filters = filter_parameters()
    sort = query_parameter("sort", {"enum": list(SORTS)}, "order of the list")
    side = query_parameter("side", {"enum": list(get_args(ThemeSide))}, "themes of inputs (default) or of outputs")
    listed = object_schema(["themes"], themes=ROWS, groups=ROWS, suggestions=ROWS)
    shown = object_schema(["theme"], theme=ANY_OBJECT, examples=ROWS)
    return [
        Operation("get", "/themes", "Themes of the tasks", listed, parameters=(*filters, sort, side)),
        Operation("get", "/themes/{item_id}", "One theme: trend, examples, events", shown, parameters=filters),
    ]


class ThemesApi(ApiEndpoints):
    """The endpoints that edit themes."""

    def __init__(self, services: Services, detection: Detection) -> None:
        super().__init__(services)
        self._definitions = ThemeDefinitions(services, detection)
        self._edits = ThemeEdits(services.store)

    @api_endpoint(
        "patch",
        "/themes/{theme_id}",
        "Rename, hide or pin a theme",
        _EDIT,
        description="An empty title is the automatic one again.",
        body=object_schema([], title=_TITLE, is_hidden=_BOOLEAN, is_pinned=_BOOLEAN),
    )
    async def change(self, request: Request) -> Response:
        visitor, project_id = await self._access.api_visitor_and_project(request, "editor")
        changes = _checked(await self._body(request))
        theme_id = request.path_params["theme_id"]
        edit = await self._threads.run(lambda: self._edits.change(project_id, theme_id, visitor.author, **changes))
        return _answer(edit)

    @api_endpoint(
        "post",
        "/themes/{theme_id}/merge",
        "Merge a theme into another",
        _EDIT,
        description="Its tasks count for the other theme. An empty `into` takes the merge back.",
        body=object_schema(["into"], into=TEXT),
    )
    async def merge(self, request: Request) -> Response:
        visitor, project_id = await self._access.api_visitor_and_project(request, "editor")
        into = (await self._body(request)).get("into")
        if not isinstance(into, str):
            raise Problem(422, "invalid_field", "'into' must be the id of a theme, or empty")
        theme_id = request.path_params["theme_id"]
        return _answer(await self._threads.run(self._edits.merge, project_id, theme_id, into, visitor.author))

    @api_endpoint(
        "post",
        "/themes/{theme_id}/split",
        "Split a theme in two",
        _EDIT,
        description="Themes are found again, and this one is cut in two: the larger part keeps the id.",
    )
    async def split(self, request: Request) -> Response:
        visitor, project_id = await self._access.api_visitor_and_project(request, "editor")
        theme_id = request.path_params["theme_id"]
        return _answer(await self._threads.run(self._edits.split, project_id, theme_id, visitor.author))

    @api_endpoint(
        "post",
        "/themes/{theme_id}/definition",
        "Create a definition from a theme",
        object_schema(["definition"], definition=EventDefinition),
        description="Its description is drafted from the theme's phrases, and labels on 20 tasks of the theme and 20 "
        "others train it.",
        status=201,
    )
    async def make_definition(self, request: Request) -> Response:
        visitor, project_id = await self._access.api_visitor_and_project(request, "editor")
        theme_id = request.path_params["theme_id"]
        definition = await self._threads.run(self._definitions.create, project_id, theme_id, visitor)
        return json_response({"definition": definition.model_dump(mode="json")}, 201)

    @api_endpoint(
        "post",
        "/themes/refresh",
        "Find the themes again",
        object_schema(["refresh"], refresh=ANY_OBJECT),
        description="A job does it within a minute. Themes keep their ids and edits; past tasks then get the new ones.",
        status=202,
    )
    async def refresh(self, request: Request) -> Response:
        visitor, project_id = await self._access.api_visitor_and_project(request, "editor")
        refresh = await self._threads.run(self._edits.refresh, project_id, visitor.author)
        return json_response({"refresh": refresh.model_dump(mode="json", exclude={"revision"})}, 202)


def _checked(body: dict[str, Any]) -> dict[str, Any]:
    """Return the changes of a body. Raises Problem 422."""
    if not body or not body.keys() <= _CHANGES.keys():
        raise Problem(422, "invalid_field", "the body is not a change of a theme", f"one of: {', '.join(_CHANGES)}")
    for name, value in body.items():
        if type(value) is not _CHANGES[name]:
            kind = "text" if _CHANGES[name] is str else "true or false"
            raise Problem(422, "invalid_field", f"{name!r} must be {kind}")
    if len(body.get("title", "")) > MAX_TITLE_CHARACTERS:
        raise Problem(422, "invalid_field", f"'title' must have at most {MAX_TITLE_CHARACTERS} characters")
    return body


def _answer(edit: ThemeEdit) -> Response:
    return json_response({"theme": edit.model_dump(mode="json", exclude={"revision"})})
