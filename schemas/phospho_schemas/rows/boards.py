"""The rows of boards: charts of Explore that people keep. No topic carries them."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from phospho_schemas.messages import Identifier, Message, ProjectId, Revision, UtcTime

MAX_NAME_CHARACTERS = 128
MAX_DESCRIPTION_CHARACTERS = 2000
MAX_TILES = 24
MAX_QUERY_CHARACTERS = 4000


class Tile(BaseModel):
    """A chart on a board: its title, and `query`, the query string of its page in Explore."""

    model_config = ConfigDict(extra="allow", frozen=True)

    title: Annotated[str, Field(max_length=MAX_NAME_CHARACTERS)]
    query: Annotated[str, Field(max_length=MAX_QUERY_CHARACTERS)]


class Board(Message):
    """A named list of tiles. Key: project, board; the greatest revision wins."""

    project_id: ProjectId
    board_id: Identifier
    revision: Revision = 0
    name: Annotated[str, Field(min_length=1, max_length=MAX_NAME_CHARACTERS)]
    description: Annotated[str, Field(max_length=MAX_DESCRIPTION_CHARACTERS, description="what the board is for")] = ""
    tiles: Annotated[list[Tile], Field(max_length=MAX_TILES)] = Field(default_factory=list)
    is_deleted: bool = False
    edited_by: str = ""
    edited_at: UtcTime
