"""`POST /v3/log`: conversations as lists of messages."""

from __future__ import annotations

import uuid
from typing import Any, NamedTuple

from starlette.requests import Request
from starlette.responses import Response

from phospho_gateway.access.access import project_of
from phospho_gateway.intake.events import AcceptedEvent, Envelope
from phospho_gateway.intake.fields import check_identifier, check_times, created_at
from phospho_gateway.intake.intake import ServiceEndpoints
from phospho_gateway.intake.models import LoggedEvents
from phospho_gateway.legacy import models
from phospho_gateway.legacy.endpoints import legacy_post, objects_field, too_many
from phospho_gateway.legacy.writes.conversation import turns
from phospho_schemas.ids import derived_id
from phospho_web.problems import Problem
from phospho_web.responses import json_response


class MessagesApi(ServiceEndpoints):
    """The endpoint that takes conversations; a bad one harms only itself."""

    @legacy_post(
        "/v3/log",
        "Log conversations",
        LoggedEvents,
        models.Conversations,
        description="Each turn of the user and what answered it becomes a task. A conversation may be sent again "
        "as "
        "it grows.",
        success="The conversations, or the error of each, in their order.",
    )
    async def log(self, request: Request) -> Response:
        """Take the good conversations; 200 with each, or its error, when they are durable."""
        granted = await self._access.project(request)
        with self._bodies.open(request) as body:
            # Before the body is read, so that one that is refused has its receipt.
            envelope = self._intake.envelope(request, granted, "v3")
            sent = await body.object()
            project_id = project_of(sent, granted)
            if granted is None:
                envelope = self._intake.envelope(request, project_id, "v3")
            results = self._results(sent, envelope)
            events = [event for result in results if isinstance(result, Logged) for event in result.events]
            await self._intake.publish(events, envelope)
        return json_response({"logged_events": [_answer(result) for result in results]})

    def _results(self, body: dict[str, Any], envelope: Envelope) -> list[Logged | Problem]:
        """Return the result of each conversation. Raises Problem (413, 422) if the whole body is invalid."""
        max_events = self._settings.max_events
        conversations = objects_field(body, "batched_log_events", max_events)
        lengths = [len(each["messages"]) for each in conversations if type(each.get("messages")) is list]
        if sum(lengths) > max_events:
            raise too_many("messages", sum(lengths), max_events)
        results: list[Logged | Problem] = []
        first_index = 0
        for position, conversation in enumerate(conversations):
            result = self._result(conversation, envelope, position, first_index)
            first_index += len(result.events) if isinstance(result, Logged) else 0
            results.append(result)
        return results

    def _result(
        self, conversation: dict[str, Any], envelope: Envelope, position: int, first_index: int
    ) -> Logged | Problem:
        """Return one conversation's turns as messages, whose indexes in the request start at `first_index`."""
        try:
            project_id = project_of(conversation, envelope.project_id)
            session_id = check_identifier(dict(conversation), "session_id") or _new_session_id(envelope, position)
            logs = turns(conversation, project_id, session_id, _started_at_s(conversation, envelope))
            read = self._intake.read_event
            return Logged(session_id, [read(log, envelope, first_index + index) for index, log in enumerate(logs)])
        except Problem as problem:
            envelope.receipt.reject(problem.code)
            # The frames of its traceback would hold the whole document until the answer is sent.
            return problem.with_traceback(None)


class Logged(NamedTuple):
    """An accepted conversation, with one event a turn."""

    session_id: str
    events: list[AcceptedEvent]


def _started_at_s(conversation: dict[str, Any], envelope: Envelope) -> float:
    message = dict(conversation)
    check_times(message)
    return created_at(message, envelope.received_at).timestamp()


def _new_session_id(envelope: Envelope, position: int) -> str:
    """Return the id of a session without one; the same Idempotency-Key gives the same id."""
    if envelope.idempotency_key:
        return "session_" + derived_id("session", envelope.project_id or "", envelope.idempotency_key, str(position))
    return f"session_{uuid.uuid4().hex}"


def _answer(result: Logged | Problem) -> dict[str, Any]:
    if isinstance(result, Problem):
        return {"error_in_log": f"{result.message}. {result.hint}."}
    task_ids = [event.task_id for event in result.events]
    return {"project_id": result.events[0].project_id, "session_id": result.session_id, "task_ids": task_ids}
