"""
The responses of OTLP/HTTP, in the encoding of the request: an ExportTraceServiceResponse, or a google.rpc.Status.

Statuses as the OTLP specification has them: 400 for what can't be read, 413 for what is too large, and 429 or 503
with Retry-After for what may be sent again; a client drops the data of every other error.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

import orjson
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import BadRequest
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from starlette.responses import Response

from phospho_web.problems import Problem

PROTOBUF = "application/x-protobuf"
JSON = "application/json"

_MAX_REASONS = 5
# google.rpc.Code of an HTTP status.
_CODES: Mapping[int, int] = {401: 16, 403: 7, 408: 4, 413: 8, 429: 8, 500: 13, 503: 14}
_INVALID_ARGUMENT = 3


class Accepted(NamedTuple):
    """
    Counts of an accepted export: its spans, the rejected ones by reason, those of no task, and the tasks with an
    attribute that could not be read.
    """

    spans: int
    rejected: Counter[str]
    unattached: int
    unread: Counter[str]


def export_response(accepted: Accepted) -> ExportTraceServiceResponse:
    """
    Return the response to an accepted export, with the number of its rejected spans and the reasons.

    Spans of no task, and attributes that were not read, are not rejected; a message beside a count of 0 is OTLP's form
    of a warning.
    """
    response = ExportTraceServiceResponse()
    messages = [_reasons(accepted.spans, accepted.rejected)] if accepted.rejected else []
    messages += [_without_task(accepted.spans, accepted.unattached)] if accepted.unattached else []
    messages += [_unread(accepted.spans, accepted.unread)] if accepted.unread else []
    if messages:
        response.partial_success.rejected_spans = accepted.rejected.total()
        response.partial_success.error_message = "; ".join(messages)
    return response


def accepted_response(media_type: str, accepted: Accepted) -> Response:
    """Return the response to an accepted export in the encoding of its request."""
    return _response(export_response(accepted), media_type, 200)


def problem_response(media_type: str, problem: Problem) -> Response:
    """Return the response to an export of which nothing was accepted."""
    # A 422 of ours is bad data, for which OTLP has 400.
    http_status = 400 if problem.status == 422 else problem.status
    text = ". ".join(part for part in (problem.message, problem.hint) if part)
    status = Status(code=_CODES.get(http_status, _INVALID_ARGUMENT), message=text)
    if http_status == 400:
        violation = BadRequest.FieldViolation(description=problem.message)
        status.details.add().Pack(BadRequest(field_violations=[violation]))
    return _response(status, media_type, http_status, problem.headers())


def _reasons(span_count: int, rejected: Counter[str]) -> str:
    shown = [f"{reason} ({count})" for reason, count in rejected.most_common(_MAX_REASONS)]
    if len(rejected) > _MAX_REASONS:
        shown.append(f"and {len(rejected) - _MAX_REASONS} more reasons")
    return f"{rejected.total()} of {span_count} spans were rejected: {'; '.join(shown)}"


def _without_task(span_count: int, unattached: int) -> str:
    return (
        f"{unattached} of {span_count} spans were not stored, as no span of their trace in this export calls a model: "
        "send the spans of a trace together"
    )


def _unread(span_count: int, unread: Counter[str]) -> str:
    names = ", ".join(f"{name} ({count})" for name, count in unread.most_common(_MAX_REASONS))
    return (
        f"{max(unread.values())} of {span_count} spans have attributes that could not be read, which are stored as "
        f"they came: {names}; where a limit has cut them, raise OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT"
    )


def _response(message: Message, media_type: str, status: int, headers: Mapping[str, str] | None = None) -> Response:
    is_json = media_type == JSON
    content = orjson.dumps(MessageToDict(message)) if is_json else message.SerializeToString()
    return Response(content, status, headers, media_type=media_type)
