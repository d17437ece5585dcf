"""`/api/v1`: an event, a batch of events, feedback on an event."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from phospho_gateway.intake.events import AcceptedEvent, single_event
from phospho_gateway.intake.intake import ServiceEndpoints
from phospho_gateway.intake.models import BatchResults, Event, Feedback, FeedbackReceipt, Receipt, SingleEvent
from phospho_web.endpoints import api_endpoint
from phospho_web.openapi import header_parameter, list_of
from phospho_web.problems import Problem
from phospho_web.responses import json_response


class EventsApi(ServiceEndpoints):
    """The endpoints of `/api/v1/events`."""

    @api_endpoint(
        "post",
        "/api/v1/events/batch",
        "Log a batch of events",
        BatchResults,
        description="Each event has its own result, in the order of the events; a bad one does not harm the others.",
        success="The accepted events are stored.",
        body=list_of("events", Event, least=1),
        parameters=(
            header_parameter(
                "Idempotency-Key", "Ids that you don't give are derived from it and the place in the batch."
            ),
        ),
    )
    async def log_batch(self, request: Request) -> Response:
        """Take the good events of a batch; 200 with one result per event when they are durable."""
        project_id = await self._access.project(request)
        with self._bodies.open(request, self._settings.max_large_body_bytes) as body:
            envelope = self._intake.envelope(request, project_id, "batch")
            # The document is not kept: while the messages travel, their bytes are all that is held.
            results = await body.run(self._intake.read_batch, await body.batch("events"), "events", envelope)
            body.end_reading()
            accepted = [result for result in results if isinstance(result, AcceptedEvent)]
            await self._intake.publish(accepted, envelope)
        rejected = len(results) - len(accepted)
        document = {
            "results": [_result(result) for result in results],
            "accepted": len(accepted),
            "rejected": rejected,
            "receipt_id": envelope.receipt.id,
        }
        return json_response(document)

    @api_endpoint(
        "post",
        "/api/v1/events/{event_id:path}/feedback",
        "Give feedback on an event",
        FeedbackReceipt,
        description="A thumb up or down of a user. The same feedback sent again is one fact.",
        status=201,
        success="It is stored.",
        body=Feedback,
        parameters=(header_parameter("Idempotency-Key", "The feedback's id is derived from it."),),
    )
    async def log_feedback(self, request: Request) -> Response:
        """Take one feedback; 201 when it is durable."""
        project_id = await self._access.project(request)
        with self._bodies.open(request) as body:
            envelope = self._intake.envelope(request, project_id, "feedback")
            sent = await body.object()
            feedback = self._intake.read_feedback(request.path_params["event_id"], sent, envelope)
            body.end_reading()
            await self._intake.publish([feedback], envelope)
        receipt = {
            "event_id": feedback.task_id,
            "feedback_id": feedback.feedback_id,
            "created_at": feedback.created_at,
            "receipt_id": envelope.receipt.id,
        }
        return json_response(receipt, 201)

    @api_endpoint(
        "post",
        "/api/v1/events",
        "Log an event",
        Receipt,
        description="One question and answer of your app. Any further key is kept as metadata.",
        status=201,
        success="It is stored.",
        body=SingleEvent,
        parameters=(header_parameter("Idempotency-Key", "Ids that you don't give are derived from it."),),
    )
    async def log_event(self, request: Request) -> Response:
        """Take one event; 201 when it is durable."""
        project_id = await self._access.project(request)
        with self._bodies.open(request, self._settings.max_large_body_bytes) as body:
            envelope = self._intake.envelope(request, project_id, "api_v1")
            event = await body.run(self._intake.read_event, single_event(await body.object()), envelope)
            body.end_reading()
            await self._intake.publish([event], envelope)
        return json_response(_receipt(event) | {"receipt_id": envelope.receipt.id}, 201)


def _receipt(event: AcceptedEvent) -> dict[str, Any]:
    return {"event_id": event.task_id, "session_id": event.session_id, "created_at": event.created_at}


def _result(result: AcceptedEvent | Problem) -> dict[str, Any]:
    if isinstance(result, Problem):
        return {"status": "rejected"} | result.body()
    return {"status": "accepted", "task_id": result.task_id} | _receipt(result)
