"""`/v2`: logs and flags of upstream phospho's clients (the PyPI package 0.3, phosphojs 1.3)."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from phospho_gateway.access.access import checked_project_id
from phospho_gateway.intake.events import AcceptedEvent, Envelope
from phospho_gateway.intake.feedback import AcceptedFeedback
from phospho_gateway.intake.intake import ServiceEndpoints
from phospho_gateway.intake.models import Event, LoggedEvents
from phospho_gateway.legacy import models
from phospho_gateway.legacy.endpoints import UPSTREAM, legacy_post
from phospho_web.openapi import list_of
from phospho_web.problems import Problem
from phospho_web.responses import json_response


class LogApi(ServiceEndpoints):
    """The endpoints of `/v2` that take data."""

    @legacy_post(
        "/v2/log/{project_id}",
        "Log a batch of events (API v2)",
        LoggedEvents,
        list_of("batched_log_events", Event, least=1),
        description=UPSTREAM,
        success="The events, or the error of each, in their order.",
    )
    async def log(self, request: Request) -> Response:
        """Take the good events of a batch; 200 with each event, or its error, when they are durable."""
        project_id = await self._access.project(request, request.path_params["project_id"])
        with self._bodies.open(request) as body:
            envelope = self._intake.envelope(request, project_id, "v2")
            events, answer = self._read(await body.batch("batched_log_events"), envelope)
            await self._intake.publish(events, envelope)
            return answer

    @legacy_post(
        "/v2/tasks/{task_id:path}/flag",
        "Flag a task (API v2)",
        models.Evaluation,
        models.FlagChange,
        description=UPSTREAM,
    )
    async def flag_task(self, request: Request) -> Response:
        """Take a flag; phosphojs sends it without a key, which a setting may allow."""
        if "authorization" in request.headers or not self._settings.allow_flag_without_key:
            return await self.evaluate_task(request)
        with self._bodies.open(request) as body:
            evaluation = await body.object()
            project_id = checked_project_id(evaluation.get("project_id"))
            return await self._evaluated(request, evaluation, self._intake.envelope(request, project_id, "feedback"))

    @legacy_post(
        "/v2/tasks/{task_id:path}/human-eval",
        "Evaluate a task (API v2)",
        models.Evaluation,
        models.HumanEvaluation,
        description=UPSTREAM,
    )
    async def evaluate_task(self, request: Request) -> Response:
        """Take a person's evaluation of a task; 200 when it is durable."""
        project_id = await self._access.project(request)
        with self._bodies.open(request) as body:
            envelope = self._intake.envelope(request, project_id, "feedback")
            return await self._evaluated(request, await body.object(), envelope)

    def _read(self, body: Any, envelope: Envelope) -> tuple[list[AcceptedEvent], Response]:
        """Return the events and the answer: while the messages travel, only bytes are held."""
        results = self._intake.read_batch(body, "batched_log_events", envelope)
        logged = [_logged(*pair) for pair in zip(body["batched_log_events"], results, strict=True)]
        events = [result for result in results if isinstance(result, AcceptedEvent)]
        return events, json_response({"logged_events": logged})

    async def _evaluated(self, request: Request, body: dict[str, Any], envelope: Envelope) -> Response:
        feedback = self._intake.read_feedback(request.path_params["task_id"], body, envelope)
        await self._intake.publish([feedback], envelope)
        return json_response(_evaluation(feedback))


def _logged(event: Any, result: AcceptedEvent | Problem) -> dict[str, Any]:
    if isinstance(result, Problem):
        return {"error_in_log": f"{result.message}. {result.hint}."}
    ids = {"project_id": result.project_id, "task_id": result.task_id, "session_id": result.session_id}
    return dict(event) | ids


def _evaluation(feedback: AcceptedFeedback) -> dict[str, Any]:
    return {
        "id": feedback.task_id,
        "project_id": feedback.project_id,
        "flag": feedback.flag,
        "notes": feedback.comment,
        "source": feedback.source,
        "feedback_id": feedback.feedback_id,
        "created_at": feedback.created_at,
    }
