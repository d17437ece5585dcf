"""The pages of boards, their twins and endpoints, and the forms that change them."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute

from phospho_dashboard.explore.boards import Boards, board_content, checked_tile, moved, tile_query
from phospho_dashboard.explore.charts import Chart
from phospho_dashboard.explore.explore import Explore
from phospho_dashboard.explore.pages import tasks_behind
from phospho_dashboard.layout.pages import Confirmation, ConfirmationPage, is_confirmed
from phospho_dashboard.layout.views import Content, View, ViewRequest
from phospho_dashboard.queries.filters import Filters
from phospho_dashboard.queries.periods import chosen_period, span_of
from phospho_dashboard.services import Endpoints, Services
from phospho_dashboard.web.forms import Form
from phospho_dashboard.web.routes import form_route
from phospho_dashboard.web.urls import item_url, with_query
from phospho_schemas.rows.boards import MAX_DESCRIPTION_CHARACTERS, Board, Tile
from phospho_web.problems import Problem


class BoardPages:
    """The views of the list of boards and of one board."""

    def __init__(self, services: Services) -> None:
        self._boards = Boards(services.store, services.clock)
        self._explore = Explore(services.store, services.settings.prices)

    def views(self) -> list[View]:
        listed = View("boards", "/boards", "explore/boards.html", self.read_list)
        board = replace(
            listed, template="explore/board.html", read=self.read_item, is_item=True, page_extras=self._extras
        )
        return [listed, board]

    def read_list(self, request: ViewRequest) -> Content:
        return {"boards": [board_content(board) for board in self._boards.listed(request.project_id)]}

    def read_item(self, request: ViewRequest) -> Content:
        board = self._boards.board(request.project_id, request.item_id)
        tiles = [self._tile(request, tile) for tile in board.tiles]
        return {"board": board_content(board), "tiles": tiles}

    def _tile(self, request: ViewRequest, tile: Tile) -> Content:
        query = tile_query(tile.query)
        own_request = of_tile(request, query)
        return {"title": tile.title, "query": tile.query} | self._explore.read(own_request, Chart.from_query(query))

    def _extras(self, request: ViewRequest, content: Content) -> Content:
        queries = [tile_query(tile["query"]) for tile in content["tiles"]]
        requests = [of_tile(request, query) for query in queries]
        return {
            "tile_views": requests,
            "tile_tasks": [
                tasks_behind(of_request, Chart.from_query(query))
                for of_request, query in zip(requests, queries, strict=True)
            ],
            "tile_urls": [
                with_query("/explore", {"project": request.project_id, **query, **_own_period(request)})
                for query in queries
            ],
        }


def of_tile(request: ViewRequest, query: dict[str, str]) -> ViewRequest:
    """Return the request of a tile's page in Explore, in the period of the board's address where it has one."""
    filters = Filters.from_query(query | _own_period(request))
    own_span = filters.span(request.zone)
    period = "" if own_span else chosen_period(filters.period, request.extent, request.now_ms)
    span = own_span or span_of(period, request.now_ms)
    return replace(request, scope=replace(request.scope, filters=filters, span=span), period=period, query=query)


def _own_period(request: ViewRequest) -> dict[str, str]:
    filters = request.scope.filters
    times = {"period": filters.period, "from": filters.since, "to": filters.until}
    return {name: value for name, value in times.items() if value}


class BoardForms(Endpoints):
    """The actions of the forms. Each leads to the board."""

    def __init__(self, services: Services) -> None:
        super().__init__(services)
        self._boards = Boards(services.store, services.clock)
        self._confirmation = ConfirmationPage(services, "boards")

    def routes(self) -> list[BaseRoute]:
        """Return the routes of the forms."""
        return [
            form_route("/boards/create", self.create),
            form_route("/boards/edit", self.edit),
            form_route("/boards/delete", self.delete),
            form_route("/boards/tiles/add", self.add_tile),
            form_route("/boards/tiles/edit", self.edit_tile),
        ]

    async def create(self, request: Request) -> Response:
        """Create an empty board."""
        visitor, project_id, form = await self._access.form_visitor_and_project(request, "editor")
        fields = {"name": form.text("name"), "description": form.text("description", MAX_DESCRIPTION_CHARACTERS)}
        return _to(await self._threads.run(self._boards.create, project_id, fields, visitor.author))

    async def edit(self, request: Request) -> Response:
        """Change the name and the description of a board."""
        visitor, project_id, form = await self._access.form_visitor_and_project(request, "editor")
        fields = {"name": form.text("name"), "description": form.text("description", MAX_DESCRIPTION_CHARACTERS)}
        change = partial(self._boards.change, project_id, form.text("board_id"), fields, author=visitor.author)
        return _to(await self._threads.run(change))

    async def delete(self, request: Request) -> Response:
        """Delete a board, once it is confirmed."""
        visitor, project_id, form = await self._access.form_visitor_and_project(request, "editor")
        board = await self._threads.run(self._boards.board, project_id, form.text("board_id"))
        if not is_confirmed(form):
            effects = (f"Its {len(board.tiles)} tiles are gone for everybody. No task is deleted.",)
            back = item_url("/boards", board.board_id, project_id)
            confirmation = Confirmation(f"Delete the board “{board.name}”?", effects, "Delete board", back)
            return await self._confirmation.render(
                request, visitor, form, project_id=project_id, confirmation=confirmation
            )
        await self._threads.run(self._boards.delete, project_id, board.board_id, visitor.author)
        return RedirectResponse(with_query("/boards", {"project": project_id}), 303)

    async def add_tile(self, request: Request) -> Response:
        """Add a chart to a board, or to a new one where a name is given."""
        visitor, project_id, form = await self._access.form_visitor_and_project(request, "editor")
        tile = checked_tile(form.text("title"), form.text("query", 4000))

        def add() -> Board:
            name, board_id = form.text("name"), form.text("board_id")
            if name or not board_id:
                fields = {"name": name or "New board", "tiles": [tile.model_dump()]}
                return self._boards.create(project_id, fields, visitor.author)
            return self._boards.add_tile(project_id, board_id, tile, visitor.author)

        return _to(await self._threads.run(add))

    async def edit_tile(self, request: Request) -> Response:
        """Rename, move or remove a tile."""
        visitor, project_id, form = await self._access.form_visitor_and_project(request, "editor")
        change = partial(_changed_tiles, form)
        edit = partial(self._boards.edit, project_id, form.text("board_id"), change, author=visitor.author)
        return _to(await self._threads.run(edit))


def _changed_tiles(form: Form, board: Board) -> dict[str, Any]:
    """Return the tiles of a board after the action of a form, on the tile that still is as the form has it."""
    action, text = form.text("action"), form.text("tile")
    index = int(text) if text.isascii() and text.isdigit() else -1
    if not 0 <= index < len(board.tiles) or board.tiles[index].query != form.text("query", 4000):
        raise Problem(409, "board_changed", "somebody has changed this board meanwhile", "open it again")
    tile, tiles = board.tiles[index], list(board.tiles)
    if action == "rename":
        tiles[index] = checked_tile(form.text("title"), tile.query)
    elif action == "remove":
        del tiles[index]
    elif action in ("earlier", "later"):
        tiles = moved(tiles, index, -1 if action == "earlier" else 1)
    else:
        raise Problem(422, "invalid_action", "there is no such action")
    return {"tiles": tiles}


def _to(board: Board) -> Response:
    return RedirectResponse(item_url("/boards", board.board_id, board.project_id), 303)
