"""The OpenAPI document of the gateway: its operations, and what they have in common."""

from __future__ import annotations

from phospho_gateway.health import HealthApi
from phospho_gateway.intake.events_api import EventsApi
from phospho_gateway.legacy.flat_update_api import FlatUpdateApi
from phospho_gateway.legacy.log_api import LogApi
from phospho_gateway.legacy.messages_api import MessagesApi
from phospho_gateway.legacy.project_api import ProjectApi
from phospho_gateway.legacy.session_api import SessionApi
from phospho_gateway.legacy.task_api import TaskApi
from phospho_gateway.otlp.openapi import otlp_operations
from phospho_schemas.ids import PROJECT_ID_PATTERN
from phospho_web import openapi
from phospho_web.openapi import TEXT, Api, Json, Problems, header_parameter

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
    apis = (EventsApi, LogApi, TaskApi, SessionApi, ProjectApi, FlatUpdateApi, MessagesApi, HealthApi)
    operations = [operation for api in apis for operation in api.operations()]
    return openapi.document(_API, [*operations, *otlp_operations()])
