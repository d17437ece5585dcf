"""The OpenAPI operations of OTLP, and the JSON form of their messages."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

from phospho_gateway.otlp.responses import PROTOBUF
from phospho_web.openapi import JSON, ErrorBody, Operation, Problems

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
        415: "Content-Type or Content-Encoding is not known here.",
        429: "The key made too many requests, or its project has logged what it may in a day; Retry-After says when.",
        503: "Nothing was confirmed: send the same request again after the time in Retry-After.",
    },
    Status,
    _BOTH,
)


def otlp_operations() -> list[Operation]:
    """Return the operations."""
    return [
        _export("/v1/traces", "Export traces (OTLP/HTTP)"),
        # The router answers a project without a name.
        _export("/v3/otl/{project_id}", "Export traces (API v3)", also={404: ErrorBody}),
    ]


def _export(path: str, summary: str, **more: Any) -> Operation:
    return Operation(
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
