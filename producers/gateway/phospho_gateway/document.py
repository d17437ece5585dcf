"""The OpenAPI document of the gateway: its operations, and what they have in common."""

from __future__ import annotations

from phospho_gateway.intake.models import (
    BatchResults,
    Event,
    Feedback,
    FeedbackReceipt,
    Health,
    Readiness,
    Receipt,
    SingleEvent,
)
from phospho_gateway.legacy.openapi import legacy_operations
from phospho_gateway.otlp.openapi import otlp_operations
from phospho_schemas.ids import PROJECT_ID_PATTERN
from phospho_web import openapi
from phospho_web.openapi import TEXT, Api, Json, Operation, Problems, header_parameter, list_of

_API = Api(
    title="phospho",
    description="Log what goes into your LLM app and what comes out. A success is answered when the data is durable. "
    "Errors have one shape: code, message, hint. A request with task_id or Idempotency-Key can be sent again safely.",
    problems=Problems(
        {
            400: "The body is not JSON, or is damaged.",
            401: "The API key is missing, unknown or revoked.",
            403: "The API key belongs to another project.",
            404: "There is nothing at this path.",
            408: "The body did not arrive in time.",
            413: "The body, the batch or the event is too large.",
            415: "The Content-Encoding is not gzip, deflate or zstd.",
            422: "The content is not valid; the message says which field and why.",
            429: "The key made too many requests, or its project has logged what it may in a day; Retry-After says "
            "when.",
            503: "Nothing was confirmed: send the same request again after the time in Retry-After.",
        }
    ),
    parameters=(header_parameter("X-Phospho-Project", "The project, for an administrator's key."),),
    path_parameters={
        "project_id": TEXT | {"pattern": f"^{PROJECT_ID_PATTERN}$"},
        "event_id": TEXT | {"maxLength": 512},
        "session_id": TEXT | {"minLength": 1, "maxLength": 512},
        "task_id": TEXT | {"minLength": 1, "maxLength": 512},
    },
)


def document() -> Json:
    """Return the document."""
    return openapi.document(
        _API, [*_event_operations(), *legacy_operations(), *otlp_operations(), *_process_operations()]
    )


def _event_operations() -> list[Operation]:
    return [
        Operation(
            "post",
            "/api/v1/events",
            "Log an event",
            Receipt,
            description="One question and answer of your app. Any further key is kept as metadata.",
            status=201,
            success="It is stored.",
            body=SingleEvent,
            parameters=(header_parameter("Idempotency-Key", "Ids that you don't give are derived from it."),),
        ),
        Operation(
            "post",
            "/api/v1/events/batch",
            "Log a batch of events",
            BatchResults,
            description="Each event has its own result, in the order of the events; a bad one does not harm the "
            "others.",
            success="The accepted events are stored.",
            body=list_of("events", Event, least=1),
            parameters=(
                header_parameter(
                    "Idempotency-Key", "Ids that you don't give are derived from it and the place in the batch."
                ),
            ),
        ),
        Operation(
            "post",
            "/api/v1/events/{event_id}/feedback",
            "Give feedback on an event",
            FeedbackReceipt,
            description="A thumb up or down of a user. The same feedback sent again is one fact.",
            status=201,
            success="It is stored.",
            body=Feedback,
            parameters=(header_parameter("Idempotency-Key", "The feedback's id is derived from it."),),
        ),
    ]


def _process_operations() -> list[Operation]:
    return [
        Operation("get", "/healthz", "Is the process alive?", Health, success="It is.", is_open=True),
        Operation(
            "get",
            "/readyz",
            "Is everything there that it needs?",
            Readiness,
            success="Everything is.",
            problems=Problems({503: "What is not, and why."}, Readiness),
            is_open=True,
        ),
        Operation("get", "/metrics", "Metrics for Prometheus", success="Prometheus' text format.", is_open=True),
    ]
