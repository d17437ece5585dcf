"""`POST /v1/traces` (OTLP/HTTP) and `POST /v3/otl/{project_id}`, where upstream phospho's tracer sends the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import Response

from phospho_gateway.intake.events import AcceptedEvent, Envelope
from phospho_gateway.intake.intake import ServiceEndpoints
from phospho_gateway.intake.receipts import Accepted
from phospho_gateway.metrics import SPANS
from phospho_gateway.otlp.encodings import json_encoding, protobuf
from phospho_gateway.otlp.responses import PROTOBUF, accepted_response, problem_response
from phospho_gateway.otlp.responses import Accepted as Outcome
from phospho_gateway.otlp.spans import Export, MalformedExport, TooManySpans
from phospho_gateway.otlp.translation import raw_logs
from phospho_web.endpoints import Method, api_endpoint
from phospho_web.openapi import JSON, ErrorBody, Problems
from phospho_web.problems import Problem
from phospho_web.requests import media_type_of, parse_json

_MEDIA_TYPES = {PROTOBUF: PROTOBUF, "application/protobuf": PROTOBUF, JSON: JSON}
_BOTH = (PROTOBUF, JSON)


class Traces(BaseModel):
    resourceSpans: list[dict[str, Any]] = Field(  # noqa: N815 (OTLP's name)
        [], description="resources, each with its scopes, each with its spans"
    )


class PartialSuccess(BaseModel):
    rejectedSpans: str = Field("", description="how many spans were not taken")  # noqa: N815
    errorMessage: str = Field("", description="why")  # noqa: N815


class TracesAnswer(BaseModel):
    partialSuccess: PartialSuccess | None = None  # noqa: N815


class Status(BaseModel):
    code: int = Field(description="google.rpc.Code")
    message: str = Field(description="what happened, and what to do")
    details: list[dict[str, Any]] = []


_PROBLEMS = Problems(
    {
        400: "The body is no ExportTraceServiceRequest, or is damaged; or the project has no id.",
        401: "The API key is missing, unknown or revoked.",
        403: "The API key belongs to another project.",
        408: "The body did not arrive in time.",
        413: "The body is too large, or holds too many spans.",
        415: "Content-Type or this Content-Encoding is not supported.",
        429: "The key made too many requests, or its project has logged what it may in a day; Retry-After says when.",
        503: "Nothing was confirmed: send the same request again after the time in Retry-After.",
    },
    Status,
    _BOTH,
)


def _export(path: str, summary: str, **more: Any) -> Callable[[Method], Method]:
    return api_endpoint(
        "post",
        path,
        summary,
        TracesAnswer,
        description="What an OpenTelemetry exporter sends: an ExportTraceServiceRequest. Spans that call a model "
        "become events, the others steps of them. A span that can't be read is told in partialSuccess, and harms no "
        "other. The answer has the encoding of the request; errors are a google.rpc.Status.",
        success="What the good spans say is stored.",
        answer_types=_BOTH,
        body=Traces,
        body_types=_BOTH,
        problems=_PROBLEMS,
        **more,
    )


class TracesApi(ServiceEndpoints):
    """The endpoints that take spans."""

    @_export("/v1/traces", "Export traces (OTLP/HTTP)")
    # The router answers a project without a name.
    @_export("/v3/otl/{project_id}", "Export traces (API v3)", also={404: ErrorBody})
    async def export(self, request: Request) -> Response:
        """Take the readable spans of an export; 200 when their logs are durable."""
        media_type = _MEDIA_TYPES.get(media_type_of(request))
        try:
            if media_type is None:
                message = "Content-Type is neither application/x-protobuf nor application/json"
                hint = "set OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf or http/json"
                raise Problem(415, "unsupported_media_type", message, hint)
            return await self._exported(request, media_type)
        except Problem as problem:
            self._intake.refuse(request, problem)
            return problem_response(media_type or JSON, problem)

    async def _exported(self, request: Request, media_type: str) -> Response:
        project_id = await self._access.project(request, request.path_params.get("project_id"))
        with self._bodies.open(request) as body:
            envelope = self._intake.envelope(request, project_id, "otlp")
            # The spans are dropped: while the messages travel, only their bytes are held.
            content = await body.content()
            logs, response = self._read(content, media_type, envelope)
            del content
            await self._intake.publish(logs, envelope)
            return response

    def _read(self, content: bytes, media_type: str, envelope: Envelope) -> tuple[list[Accepted], Response]:
        """Return the tasks, with the steps whose tasks are in other exports, and the response."""
        export = _decoded(content, media_type, self._settings.max_spans)
        translation = raw_logs(export.spans)
        results = self._intake.read_all(translation.logs, envelope)
        refusals = [result.message for result in results if isinstance(result, Problem)]
        SPANS.labels("task").inc(len(results) - len(refusals))
        loose_steps = self._intake.read_steps(translation.loose_steps, envelope)
        SPANS.labels("step").inc(translation.steps + len(loose_steps))
        SPANS.labels("unattached").inc(translation.unattached)
        SPANS.labels("rejected").inc(export.rejected.total() + len(refusals))
        outcome = Outcome(export.count, export.rejected + Counter(refusals), translation.unattached, translation.unread)
        if malformed := export.rejected.total():
            envelope.receipt.reject("malformed_span", malformed)
        tasks = [result for result in results if isinstance(result, AcceptedEvent)]
        return [*loose_steps, *tasks], accepted_response(media_type, outcome)


def _decoded(content: bytes, media_type: str, max_spans: int) -> Export:
    """Return the spans of a body. Raises Problem: 400 if it can't be decoded, 413 for too many."""
    try:
        if media_type == JSON:
            return json_encoding.export_of(parse_json(content), max_spans)
        return protobuf.export_of(content, max_spans)
    except MalformedExport as error:
        raise Problem(400, "malformed_export", str(error), "send what an OpenTelemetry exporter sends") from None
    except TooManySpans:
        raise Problem(
            413,
            "too_many_spans",
            f"the export holds more than {max_spans} spans",
            "lower the batch size of the exporter",
        ) from None
