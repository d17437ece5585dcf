"""The API of Explore and boards: the operations of the views, and the endpoints that change boards."""

from __future__ import annotations

from functools import partial

from starlette.requests import Request
from starlette.responses import Response

from phospho_dashboard.analytics.api import filter_parameters
from phospho_dashboard.explore.boards import Boards, board_content
from phospho_dashboard.explore.charts import CHARTS
from phospho_dashboard.queries.intervals import INTERVALS
from phospho_dashboard.services import ROWS, ApiEndpoints, Services
from phospho_schemas.rows.boards import MAX_DESCRIPTION_CHARACTERS, MAX_NAME_CHARACTERS, MAX_QUERY_CHARACTERS, MAX_TILES
from phospho_store.sql.metrics import DIMENSIONS, METRICS
from phospho_web.endpoints import api_endpoint
from phospho_web.openapi import ANY_OBJECT, TEXT, Json, Operation, nullable, object_schema, query_parameter
from phospho_web.responses import json_response

_BOARD = object_schema(["board"], board=ANY_OBJECT)
_TILE = object_schema(
    ["title", "query"],
    title=TEXT | {"maxLength": MAX_NAME_CHARACTERS},
    query=TEXT | {"maxLength": MAX_QUERY_CHARACTERS, "description": "of its page in Explore: metric=tasks&by=version"},
)
_FIELDS: dict[str, Json] = {
    "name": TEXT | {"maxLength": MAX_NAME_CHARACTERS},
    "description": TEXT | {"maxLength": MAX_DESCRIPTION_CHARACTERS},
    "tiles": {"type": "array", "items": _TILE, "maxItems": MAX_TILES},
}


def explore_operations() -> list[Operation]:
    """Return the operations of the views."""
    filters = filter_parameters()
    chart = (
        query_parameter("metric", {"enum": list(METRICS), "default": "tasks"}),
        query_parameter("about", TEXT, "the event, the theme or the metadata key that the metric is of"),
        query_parameter("by", {"enum": list(DIMENSIONS)}, "break down by"),
        query_parameter("by_key", TEXT, "the metadata key of by=metadata"),
        query_parameter("interval", {"enum": list(INTERVALS)}, "automatic where it is missing"),
        query_parameter("chart", {"enum": list(CHARTS), "default": "line"}, "line and bars are over time"),
    )
    numbers = object_schema(
        ["total", "rows", "series", "over_time"],
        metric=ANY_OBJECT,
        total=nullable(ANY_OBJECT),
        rows=ROWS,
        series=ROWS,
        over_time=ROWS,
        sql=TEXT,
        grafana=nullable(ANY_OBJECT),
    )
    boards, board = (
        object_schema(["boards"], boards=ROWS),
        object_schema(["board", "tiles"], board=ANY_OBJECT, tiles=ROWS),
    )
    return [
        Operation("get", "/explore", "A metric by a dimension, over time", numbers, parameters=(*filters, *chart)),
        Operation("get", "/boards", "Boards", boards, parameters=filters),
        Operation("get", "/boards/{item_id}", "A board with the numbers of its tiles", board, parameters=filters),
    ]


class BoardsApi(ApiEndpoints):
    """The endpoints that change boards."""

    def __init__(self, services: Services) -> None:
        super().__init__(services)
        self._boards = Boards(services.store, services.clock)

    @api_endpoint(
        "post",
        "/boards",
        "Create a board",
        _BOARD,
        body=object_schema(["name"], **_FIELDS),
        status=201,
    )
    async def create(self, request: Request) -> Response:
        visitor, project_id = await self._access.api_visitor_and_project(request, "editor")
        fields = await self._body(request)
        board = await self._threads.run(self._boards.create, project_id, fields, visitor.author)
        return json_response({"board": board_content(board)}, 201)

    @api_endpoint(
        "patch",
        "/boards/{board_id}",
        "Change a board",
        _BOARD,
        description="`tiles` replaces all tiles: send them in their new order.",
        body=object_schema([], **_FIELDS),
    )
    async def change(self, request: Request) -> Response:
        visitor, project_id = await self._access.api_visitor_and_project(request, "editor")
        fields = await self._body(request)
        change = partial(
            self._boards.change, project_id, request.path_params["board_id"], fields, author=visitor.author
        )
        return json_response({"board": board_content(await self._threads.run(change))})

    @api_endpoint("delete", "/boards/{board_id}", "Delete a board", None, status=204)
    async def delete(self, request: Request) -> Response:
        visitor, project_id = await self._access.api_visitor_and_project(request, "editor")
        board_id = request.path_params["board_id"]
        await self._threads.run(self._boards.delete, project_id, board_id, visitor.author)
        return Response(status_code=204)
