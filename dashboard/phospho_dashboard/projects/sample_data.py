"""Sample data: the past of an imaginary app, written to a project so that its pages have something to show."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute

from phospho_dashboard.services import ApiEndpoints, Endpoints, Services
from phospho_dashboard.web.routes import form_route
from phospho_dashboard.web.urls import with_query
from phospho_schemas.messages import EventDefinition
from phospho_schemas.topics import Keyed
from phospho_web.endpoints import api_endpoint
from phospho_web.openapi import NUMBER, TEXT, object_schema
from phospho_web.problems import Problem, no_publisher
from phospho_web.responses import json_response

DEFAULT_DAYS = 30
MAX_DAYS = 400

# Return the definition that an item describes, of a project. Raises Problem 422.
DefinitionReader = Callable[[str, Mapping[str, Any]], EventDefinition]


class SampleBatch(NamedTuple):
    """Messages of `phospho.raw-logs`, and the number of tasks, new sessions and feedback in them."""

    messages: Sequence[Keyed]
    tasks: int
    sessions: int
    feedback: int


@dataclass(frozen=True)
class SampleSource:
    """
    A generator of sample data, handed in by the process.

    `batches` yields the tasks of a project for a number of days until now. On one day it yields the same ids again.
    """

    definitions: Callable[[], Sequence[Mapping[str, Any]]]
    batches: Callable[[str, int], Iterator[SampleBatch]]


class SampleData:
    """Writes sample data to a project."""

    def __init__(self, services: Services, source: SampleSource | None, read_definition: DefinitionReader) -> None:
        self._services = services
        self._source = source
        self._read_definition = read_definition

    async def load(self, project_id: str, days: int = DEFAULT_DAYS) -> dict[str, Any]:
        """
        Write `days` days of tasks with feedback, and return their counts once all of it is durable.

        A project without definitions gets those of the sample first. Takes seconds. Raises Problem (503).
        """
        publisher, threads = self._services.publisher, self._services.slow_threads
        if publisher is None or self._source is None:
            raise no_publisher()
        names = await self._services.threads.run(self._define, project_id, self._source.definitions())
        counts = {"tasks": 0, "sessions": 0, "feedback": 0}
        batches = self._source.batches(project_id, days)
        while (batch := await threads.run(project_id, _next_batch, batches)) is not None:
            await publisher.publish(batch.messages)
            counts = {name: count + getattr(batch, name) for name, count in counts.items()}
        return counts | {"definitions": names}

    def _define(self, project_id: str, items: Sequence[Mapping[str, Any]]) -> list[str]:
        """Save the definitions of a project that has none, and return their names."""
        if self._services.registry.definitions(project_id):
            return []
        definitions = [self._read_definition(project_id, item) for item in items]
        return [saved.name for saved in self._services.registry.save_definitions(project_id, definitions)]


def _next_batch(batches: Iterator[SampleBatch]) -> SampleBatch | None:
    return next(batches, None)


class SampleDataApi(ApiEndpoints):
    """The endpoint of sample data."""

    def __init__(self, services: Services, source: SampleSource | None, read_definition: DefinitionReader) -> None:
        super().__init__(services)
        self._sample = SampleData(services, source, read_definition)

    @api_endpoint(
        "post",
        "/sample-data",
        "Load sample data",
        object_schema(
            ["tasks", "sessions", "feedback", "definitions"],
            tasks=NUMBER,
            sessions=NUMBER,
            feedback=NUMBER,
            definitions={"type": "array", "items": TEXT},
        ),
        description="Writes the past of an imaginary app until now: tasks, sessions, users, versions and feedback. A "
        "project without definitions gets some first. Answers after some seconds, when all of it is stored.",
        status=201,
        body=object_schema([], days={"type": "integer", "minimum": 1, "maximum": MAX_DAYS, "default": DEFAULT_DAYS}),
    )
    async def load(self, request: Request) -> Response:
        project_id = await self._access.api_project(request, "editor")
        content = await self._body(request)
        days = content.get("days", DEFAULT_DAYS)
        if type(days) is not int or not 1 <= days <= MAX_DAYS:
            raise Problem(422, "invalid_field", f"days is not a whole number from 1 to {MAX_DAYS}", "send days: 30")
        return json_response(await self._sample.load(project_id, days), 201)


class SampleDataForm(Endpoints):
    """The button of an empty project."""

    def __init__(self, services: Services, source: SampleSource | None, read_definition: DefinitionReader) -> None:
        super().__init__(services)
        self._sample = SampleData(services, source, read_definition)

    def routes(self) -> list[BaseRoute]:
        """Return the route that the button is sent to."""
        return [form_route("/sample-data", self.load)]

    async def load(self, request: Request) -> Response:
        _, project_id, _ = await self._access.form_visitor_and_project(request, "editor")
        await self._sample.load(project_id)
        return RedirectResponse(with_query("/", {"project": project_id}), 303)
