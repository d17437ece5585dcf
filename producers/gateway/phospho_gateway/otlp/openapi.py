"""What the gateway's OpenAPI document says of OTLP: the operations, and the schemas of their JSON."""

from __future__ import annotations

from typing import Any

from phospho_gateway.otlp.answers import JSON, PROTOBUF

Json = dict[str, Any]

_PROJECT = {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9_.\\-]{0,127}$"}
_ERRORS = {
    "400": "The body is no ExportTraceServiceRequest, or is damaged; or the project has no id.",
    "401": "The API key is missing, unknown or revoked.",
    "403": "The API key belongs to another project.",
    "408": "The body did not arrive in time.",
    "413": "The body is too large, or holds too many spans.",
    "415": "Content-Type or Content-Encoding is not known here.",
    "429": "The key made too many requests, or its project has logged what it may in a day; Retry-After says when.",
    "503": "Nothing was confirmed: send the same request again after the time in Retry-After.",
}


def otlp_paths() -> Json:
    """Return the operations by their paths."""
    project = {"name": "project_id", "in": "path", "required": True, "schema": _PROJECT}
    not_found = {"404": {"description": "There is nothing at this path.", "content": _json("Problem")}}
    return {
        "/v1/traces": {"post": _export("Export traces (OTLP/HTTP)", [], {})},
        "/v3/otl/{project_id}": {"post": _export("Export traces (API v3)", [project], not_found)},
    }


def otlp_schemas() -> Json:
    """Return the schemas that the operations name."""
    text = {"type": "string"}
    objects = {"type": "array", "items": {"type": "object"}}
    return {
        "Traces": {
            "type": "object",
            "properties": {
                "resourceSpans": objects | {"description": "resources, each with its scopes, each with its spans"},
            },
        },
        "TracesAnswer": {
            "type": "object",
            "properties": {
                "partialSuccess": {
                    "type": "object",
                    "properties": {
                        "rejectedSpans": text | {"description": "how many spans were not taken"},
                        "errorMessage": text | {"description": "why"},
                    },
                }
            },
        },
        "Status": {
            "type": "object",
            "required": ["code", "message"],
            "properties": {
                "code": {"type": "integer", "description": "google.rpc.Code"},
                "message": text | {"description": "what happened, and what to do"},
                "details": objects,
            },
        },
    }


def _export(summary: str, parameters: list[Json], further: Json) -> Json:
    project_header = {
        "name": "X-Phospho-Project",
        "in": "header",
        "description": "The project, for an administrator's key.",
        "schema": {"type": "string", "maxLength": 255},
    }
    taken = {"description": "What the good spans say is stored.", "content": _in_both("TracesAnswer")}
    refused = {status: {"description": text, "content": _in_both("Status")} for status, text in _ERRORS.items()}
    return {
        "summary": summary,
        "description": "What an OpenTelemetry exporter sends: an ExportTraceServiceRequest. Spans that call a model "
        "become events, the others steps of them. A span that can't be read is told in partialSuccess, and harms no "
        "other. The answer has the encoding of the request; errors are a google.rpc.Status.",
        "parameters": [*parameters, project_header],
        "requestBody": {"required": True, "content": _in_both("Traces")},
        "responses": {"200": taken, **refused, **further},
    }


def _in_both(schema: str) -> Json:
    return {PROTOBUF: {"schema": {"type": "string", "format": "binary"}}} | _json(schema)


def _json(schema: str) -> Json:
    return {JSON: {"schema": {"$ref": f"#/components/schemas/{schema}"}}}
