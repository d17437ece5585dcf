"""
OpenTelemetry's logs and metrics, which are refused with what to do instead.

Instrumentations may write messages as log records, apart from their span. A 200 would lose them in silence: the Python
exporters pass over `partial_success`, and report any other status.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from phospho_gateway.otlp.responses import JSON, PROTOBUF, problem_response
from phospho_web.problems import Problem
from phospho_web.requests import media_type_of

__all__ = ["HINTS", "other_signal_routes"]

HINTS = {
    "logs": "phospho reads traces, and stores no log records. Set OTEL_LOGS_EXPORTER=none. If an instrumentation "
    "writes messages as log records, let it write them on spans: "
    "OTEL_SEMCONV_STABILITY_OPT_IN=gen_ai_latest_experimental and "
    "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT=SPAN_ONLY",
    "metrics": "phospho reads traces, and stores no metrics. Set OTEL_METRICS_EXPORTER=none",
}


async def _refuse(request: Request) -> Response:
    problem = Problem(404, "not_found", HINTS[request.url.path.rpartition("/")[2]])
    return problem_response(JSON if media_type_of(request) == JSON else PROTOBUF, problem)


def other_signal_routes() -> list[Route]:
    """Return the routes of the signals that are not read, which no document lists."""
    return [Route(f"/v1/{signal}", _refuse, methods=["POST"], include_in_schema=False) for signal in HINTS]
