"""SQL for themes: people's titles and merges applied to what discovery found."""

from __future__ import annotations

from phospho_schemas.rows.themes import ThemeSide
from phospho_store.sql import compose

_CURRENT_THEMES = """(
    SELECT
        theme.project_id AS project_id,
        theme.theme_id AS theme_id,
        theme.side AS side,
        if(edit.title != '', edit.title, theme.title) AS title,
        theme.phrases AS phrases,
        theme.examples AS examples,
        theme.group_id AS group_id,
        theme.group_title AS group_title,
        edit.is_hidden AS is_hidden,
        edit.is_pinned AS is_pinned,
        edit.merged_into AS merged_into,
        theme.x AS x,
        theme.y AS y,
        theme.created_at AS created_at
    FROM (SELECT * FROM theme_rows FINAL WHERE $condition) AS theme
    INNER JOIN (SELECT project_id, version FROM theme_model_rows FINAL WHERE $condition) AS model
    ON theme.project_id = model.project_id AND theme.version = model.version
    LEFT ANY JOIN (SELECT * FROM theme_edit_rows FINAL WHERE $condition) AS edit
    ON theme.project_id = edit.project_id AND theme.theme_id = edit.theme_id
)"""
# Merges are stored flat: nothing is merged into a theme that is itself merged.
_MERGES = "SELECT project_id, theme_id, merged_into FROM theme_edit_rows FINAL WHERE merged_into != ''"
_OF_PROJECT = "WHERE project_id = {project:String} AND merged_into != '' ORDER BY theme_id"
_MERGED = "(SELECT groupArray($column) FROM (SELECT * FROM theme_edit_rows FINAL $rest))"


NO_THEME = "none"
_HAS_THEME = """(
    theme = if($theme = '$no_theme', '', $theme) OR output_theme = $theme
    OR theme IN ($merged) OR output_theme IN ($merged)
)"""
_MERGED_INTO = """
SELECT theme_id FROM theme_edit_rows FINAL
WHERE project_id = {project:String} AND merged_into = $theme AND merged_into != ''
"""


def current_themes(condition: str = "1") -> str:
    """Return a subquery of the themes of the current models, with people's edits; `condition` is on `project_id`."""
    return compose(_CURRENT_THEMES, condition=condition)


def merges() -> str:
    """Return a subquery of `project_id`, `theme_id` and the theme that it is `merged_into`."""
    return f"({_MERGES})"


def theme_column(side: ThemeSide) -> str:
    """Return the column of `analysis_rows` with the theme of a side."""
    return "theme" if side == "input" else "output_theme"


def theme_of(theme: str = "theme") -> str:
    """Return the expression of the theme that a task of a project counts for, from the one that it was given."""
    merged, heirs = (compose(_MERGED, column=column, rest=_OF_PROJECT) for column in ("theme_id", "merged_into"))
    return f"transform(toString({theme}), {merged}, {heirs}, toString({theme}))"


def has_theme(theme: str) -> str:
    """
    Return the condition on a row of `analysis_rows` that its task counts for a theme of either side.

    NO_THEME are the tasks whose input has none.
    """
    merged = compose(_MERGED_INTO, theme=theme)
    return compose(_HAS_THEME, theme=theme, no_theme=NO_THEME, merged=merged)
