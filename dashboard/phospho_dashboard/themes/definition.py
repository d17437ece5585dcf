"""A definition made from a theme: its description is drafted from the theme, and the theme's tasks train it."""

from __future__ import annotations

import re

from phospho_dashboard.annotations.annotations import Annotations
from phospho_dashboard.auth.visitors import Visitor
from phospho_dashboard.detection import Detection, checked_definition
from phospho_dashboard.services import Services
from phospho_dashboard.themes.figures import ThemeFigures
from phospho_schemas.messages import EventDefinition
from phospho_schemas.rows.themes import ThemeSide
from phospho_store.sql import compose
from phospho_store.sql.themes import theme_column, theme_of
from phospho_web.problems import Problem

_EXAMPLES = 20
_PHRASES = 4
_MAX_NAME_CHARACTERS = 60
# The tasks nearest to the center of the theme, and others by chance, of one text each.
_EXAMPLES_OF = """
SELECT task_id, $theme = {theme:String} AS is_there FROM analysis_rows FINAL
WHERE project_id = {project:String} AND is_there = {is_there:UInt8}
    AND task_id IN (SELECT task_id FROM task_rows WHERE project_id = {project:String})
ORDER BY if(is_there, -$score, 0), cityHash64(task_id) LIMIT {limit:UInt32}
"""


class ThemeDefinitions:
    """Makes definitions from themes. Blocking; raises Problem and what the store raises."""

    def __init__(self, services: Services, detection: Detection) -> None:
        self._store = services.store
        self._registry = services.registry
        self._annotations = Annotations(services)
        self._figures = ThemeFigures(services.store)
        self._check = detection.check

    def create(self, project_id: str, theme_id: str, visitor: Visitor) -> EventDefinition:
        """
        Store a definition of a theme, with labels on tasks that train it: 20 of the theme, and 20 of others.

        Problem 404 for an unknown theme, 409 where the project has a definition of that name.
        """
        theme = self._figures.themes(project_id).get(theme_id)
        if theme is None:
            raise Problem(404, "unknown_theme", f"there is no theme {theme_id!r} in this project")
        name = definition_name(theme["title"])
        if name in {definition.name for definition in self._registry.definitions(project_id)}:
            raise Problem(409, "definition_exists", f"there is a definition {name!r} already", "rename the theme")
        side: ThemeSide = theme["side"]
        phrases = theme["phrases"][:_PHRASES] or [theme["title"]]
        item = {
            "name": name,
            "description": f"The {'user asks' if side == 'input' else 'assistant speaks'} about {', '.join(phrases)}",
            "engine": "semantic",
            "scope": side,
        }
        saved = self._registry.save_definition(checked_definition(project_id, item, self._check))
        labels = [
            {"event": name, "task_id": task_id, "label": label}
            for label, is_there in (("confirmed", 1), ("rejected", 0))
            for task_id in self._tasks(project_id, theme_id, side, is_there)
        ]
        self._annotations.save_labels(project_id, visitor, labels)
        return saved

    def _tasks(self, project_id: str, theme_id: str, side: ThemeSide, is_there: int) -> list[str]:
        column = theme_column(side)
        sql = compose(_EXAMPLES_OF, theme=theme_of(column), score=f"{column}_score")
        parameters = {"project": project_id, "theme": theme_id, "is_there": is_there, "limit": _EXAMPLES}
        return [row["task_id"] for row in self._store.rows(sql, parameters)]


def definition_name(title: str) -> str:
    """Return the name of a definition for the title of a theme, such as `order_pizza`."""
    words = re.findall(r"\w+", title.lower())
    return "_".join(words)[:_MAX_NAME_CHARACTERS].strip("_") or "theme"
