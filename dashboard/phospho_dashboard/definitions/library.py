"""The page of ready definitions by use case, with the number of recent tasks that each one matches."""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import Any

from starlette.requests import Request
from starlette.routing import BaseRoute

from phospho_dashboard.auth.visitors import Visitor
from phospho_dashboard.definitions.ready import LIBRARY
from phospho_dashboard.definitions.trials import DefinitionTrials
from phospho_dashboard.detection import Detection
from phospho_dashboard.layout.pages import ProjectPage
from phospho_dashboard.services import Endpoints, Services
from phospho_dashboard.web.cache import TimedCache
from phospho_dashboard.web.routes import page_and_twin
from phospho_schemas.definitions.engines import engine_spec
from phospho_schemas.definitions.validation import DEFINITION_FIELDS
from phospho_schemas.messages import EventDefinition

_PATH = "/definitions/library"
_COUNTS_TTL_S = 10.0
_COUNTS_TTL_OF_DURATION = 20


class LibraryPage(Endpoints):
    """The page and its twin. A definition is added, or previewed, by the form of definitions."""

    def __init__(self, services: Services, detection: Detection) -> None:
        super().__init__(services)
        self._detection = detection
        self._trials = DefinitionTrials(services.store)
        # Compiling so many definitions takes seconds of a busy machine.
        self._counts = TimedCache(self._count, ttl_s=_COUNTS_TTL_S, ttl_of_duration=_COUNTS_TTL_OF_DURATION)
        self._page = ProjectPage(services, "events", "definitions/library.html")

    def routes(self) -> list[BaseRoute]:
        """Return the routes of the library."""
        return page_and_twin(_PATH, self.read, self._page.render)

    async def read(self, request: Request) -> tuple[Visitor, dict[str, Any]]:
        visitor, project_id = await self._access.page_visitor_and_project(request)
        return visitor, await self._slow_threads.run(project_id, self._library, project_id)

    def _library(self, project_id: str) -> dict[str, Any]:
        """Return the use cases with their definitions: `matches` of the recent tasks, None where an LLM decides."""
        ready = {use_case: [item.of_project(project_id) for item in items] for use_case, items in LIBRARY.items()}
        tasks, counts = self._counts.get(project_id)
        names = {definition.name for definition in self._registry.definitions(project_id)}
        use_cases = [
            {"name": use_case, "definitions": [_library_row(item, counts, names) for item in items]}
            for use_case, items in ready.items()
        ]
        return {"project_id": project_id, "tasks": tasks, "use_cases": use_cases}

    def _count(self, project_id: str) -> tuple[int, dict[str, int]]:
        definitions = [item.of_project(project_id) for items in LIBRARY.values() for item in items]
        countable = [definition for definition in definitions if not engine_spec(definition.engine).is_decided_by_llm]
        return self._trials.match_counts(project_id, countable, self._detection)


def _library_row(definition: EventDefinition, counts: Mapping[str, int], names: Set[str]) -> dict[str, Any]:
    shown = definition.model_dump(mode="json", include=set(DEFINITION_FIELDS))
    return shown | {"matches": counts.get(definition.name), "is_added": definition.name in names}
