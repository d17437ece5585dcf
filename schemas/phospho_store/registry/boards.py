"""Boards: charts of Explore that people keep."""

from __future__ import annotations

from phospho_schemas.rows.boards import Board
from phospho_schemas.times import utc_now
from phospho_store.repository import Repository

MAX_BOARDS = 200
_OF_PROJECT = "WHERE project_id = {project:String} AND NOT is_deleted"


class BoardRepository(Repository):
    """Reads and writes of boards."""

    def boards(self, project_id: str) -> list[Board]:
        """Return the boards of a project in alphabetical order, MAX_BOARDS at most."""
        rest = f"{_OF_PROJECT} ORDER BY lower(name), board_id LIMIT {MAX_BOARDS}"
        return self._read(Board, "board_rows", rest, project=project_id)

    def board(self, project_id: str, board_id: str) -> Board | None:
        """Return a board, or None."""
        rest = _OF_PROJECT + " AND board_id = {board:String}"
        return self._first(Board, "board_rows", rest, project=project_id, board=board_id)

    def save(self, board: Board, author: str) -> Board:
        """Store a board and return it as it is stored."""
        edited = board.model_copy(update={"edited_by": author, "edited_at": utc_now()})
        return self._save_one("board_rows", edited, board.revision)
