"""Boards: read, change and check them."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl, urlencode

from phospho_dashboard.explore.charts import CHART_NAMES, Chart
from phospho_dashboard.queries.filters import Filters, url_names
from phospho_schemas.ids import HybridClock
from phospho_schemas.rows.boards import (
    MAX_DESCRIPTION_CHARACTERS,
    MAX_NAME_CHARACTERS,
    MAX_QUERY_CHARACTERS,
    MAX_TILES,
    Board,
    Tile,
)
from phospho_schemas.times import utc_now
from phospho_store.registry.boards import MAX_BOARDS, BoardRepository
from phospho_store.store import Store
from phospho_web.problems import Problem
from phospho_web.requests import check_parameters

Change = Callable[[Board], Mapping[str, Any]]


class Boards:
    """
    Reads and changes boards. Blocking; raises Problem (404, 409, 422) and what the store raises.

    A change starts from the board as it is stored. Of two at the same moment, the later one wins as a whole.
    """

    def __init__(self, store: Store, clock: HybridClock) -> None:
        self._repository = BoardRepository(store, clock)

    def listed(self, project_id: str) -> list[Board]:
        """Return the boards of a project in alphabetical order."""
        return self._repository.boards(project_id)

    def board(self, project_id: str, board_id: str) -> Board:
        """Return a board; Problem 404."""
        board = self._repository.board(project_id, board_id)
        if board is None:
            raise Problem(404, "unknown_board", f"there is no board {board_id!r}", "GET /api/v1/boards lists them")
        return board

    def create(self, project_id: str, fields: Mapping[str, Any], author: str) -> Board:
        """Store a new board of the fields `name`, `description` and `tiles`."""
        if len(self.listed(project_id)) >= MAX_BOARDS:
            raise Problem(409, "too_many_boards", f"a project has at most {MAX_BOARDS} boards", "delete one first")
        now = utc_now()
        board = Board(project_id=project_id, board_id=secrets.token_hex(8), name="-", edited_at=now)
        return self._repository.save(board.model_copy(update=checked_fields({"name": "", **fields})), author)

    def change(self, project_id: str, board_id: str, fields: Mapping[str, Any], author: str) -> Board:
        """Store these fields of a board."""
        return self.edit(project_id, board_id, lambda _: checked_fields(fields), author)

    def delete(self, project_id: str, board_id: str, author: str) -> None:
        self.edit(project_id, board_id, lambda _: {"is_deleted": True}, author)

    def add_tile(self, project_id: str, board_id: str, tile: Tile, author: str) -> Board:
        """Put a tile at the end of a board."""

        def with_tile(board: Board) -> dict[str, Any]:
            if len(board.tiles) >= MAX_TILES:
                raise Problem(409, "too_many_tiles", f"a board has at most {MAX_TILES} tiles", "use another board")
            return {"tiles": [*board.tiles, tile]}

        return self.edit(project_id, board_id, with_tile, author)

    def edit(self, project_id: str, board_id: str, change: Change, author: str) -> Board:
        """Store a board after a change of it."""
        board = self.board(project_id, board_id)
        return self._repository.save(board.model_copy(update=dict(change(board))), author)


def checked_fields(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a board as they are stored; Problem 422."""
    limits = {"name": MAX_NAME_CHARACTERS, "description": MAX_DESCRIPTION_CHARACTERS}
    checked: dict[str, Any] = {}
    for name, value in fields.items():
        if name in limits:
            checked[name] = _text(name, value, limits[name])
        elif name == "tiles":
            checked[name] = _tiles(value)
        else:
            raise Problem(422, "invalid_field", f"a board has no field {name!r}", "one of: name, description, tiles")
    if checked.get("name") == "":
        raise Problem(422, "invalid_name", "a board needs a name")
    return checked


def checked_tile(title: Any, query: Any) -> Tile:
    """Return a tile of the parameters of a chart and its filters; Problem 400, also for an unknown one, and 422."""
    text = _text("query", query, MAX_QUERY_CHARACTERS).lstrip("?")
    parameters = dict(parse_qsl(text, max_num_fields=100))
    check_parameters(parameters, (*CHART_NAMES, *url_names()), unnamed=("project",))
    return Tile(title=_text("title", title, MAX_NAME_CHARACTERS), query=urlencode(tile_query(text)))


def tile_query(query: str) -> dict[str, str]:
    """Return the chart and the filters of a tile, as the parameters of its page in Explore; Problem 400."""
    names = {*CHART_NAMES, *url_names()}
    given = {name: value for name, value in parse_qsl(query, max_num_fields=100) if name in names}
    return Chart.from_query(given).query() | Filters.from_query(given).query()


def moved(tiles: Sequence[Tile], index: int, by: int) -> list[Tile]:
    """Return tiles with one of them moved by so many positions, as far as there are any."""
    others = [tile for number, tile in enumerate(tiles) if number != index]
    others.insert(max(index + by, 0), tiles[index])
    return others


def board_content(board: Board) -> dict[str, Any]:
    """Return a board as the API has it."""
    return board.model_dump(mode="json", exclude={"revision", "is_deleted", "project_id", "schema_version"})


def _text(name: str, value: Any, limit: int) -> str:
    if not isinstance(value, str) or len(value) > limit:
        raise Problem(422, f"invalid_{name}", f"{name!r} must be a text of at most {limit} characters")
    return value.strip()


def _tiles(value: Any) -> list[Tile]:
    if not isinstance(value, list) or len(value) > MAX_TILES:
        raise Problem(422, "invalid_tiles", f"'tiles' must be a list of at most {MAX_TILES} tiles")
    if not all(isinstance(tile, dict) for tile in value):
        raise Problem(422, "invalid_tiles", "a tile is an object with 'title' and 'query'")
    return [checked_tile(tile.get("title", ""), tile.get("query", "")) for tile in value]
