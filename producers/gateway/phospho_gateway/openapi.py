"""The OpenAPI document of the gateway, and the statuses that each operation may answer."""

from __future__ import annotations

from typing import Any

from phospho_gateway.otlp.openapi import otlp_paths, otlp_schemas

Json = dict[str, Any]

_ID = {"type": "string", "maxLength": 512}
_NULLABLE_ID = {"type": ["string", "integer", "null"], "maxLength": 512}
_TEXT = {"type": ["string", "null"]}
_FLAG = {"type": ["string", "null"], "enum": ["success", "failure", None]}
_CONTENT = {"type": ["string", "object", "array"]}
_TIME = {"type": "string", "format": "date-time"}
_PROJECT = {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9_.\\-]{0,127}$"}

_PROBLEMS = {
    "400": "The body is not JSON, or is damaged.",
    "401": "The API key is missing, unknown or revoked.",
    "403": "The API key belongs to another project.",
    "404": "There is nothing at this path.",
    "408": "The body did not arrive in time.",
    "413": "The body, the batch or the event is too large.",
    "415": "The Content-Encoding is not gzip, deflate or zstd.",
    "422": "The content is not valid; the message says which field and why.",
    "429": "The key made too many requests, or its project has logged what it may in a day; Retry-After says when.",
    "503": "Nothing was confirmed: send the same request again after the time in Retry-After.",
}


def document() -> Json:
    """Return the document. It names no server: the API is where the document was read."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "phospho",
            "version": "1",
            "description": "Log what goes into your LLM app and what comes out. A success is answered when the data is "
            "durable. Errors have one shape: code, message, hint. A request with task_id or Idempotency-Key can be "
            "sent again safely.",
        },
        "security": [{"api_key": []}],
        "paths": _paths(),
        "components": {
            "securitySchemes": {"api_key": {"type": "http", "scheme": "bearer", "description": "ph_..."}},
            "schemas": _schemas(),
        },
    }


def _paths() -> Json:
    return {
        "/api/v1/events": {"post": _log_event()},
        "/api/v1/events/batch": {"post": _log_batch()},
        "/api/v1/events/{event_id}/feedback": {"post": _log_feedback()},
        "/v2/log/{project_id}": {"post": _log_legacy()},
        "/v2/tasks/{task_id}/flag": {"post": _evaluate("Flag a task", "flag")},
        "/v2/tasks/{task_id}/human-eval": {"post": _evaluate("Evaluate a task", "human_eval")},
        **otlp_paths(),
        "/healthz": {"get": _plain("Is the process alive?", {"200": _answer("It is.", _reference("Health"))})},
        "/readyz": {"get": _plain("Is everything there that it needs?", _readiness())},
        "/metrics": {"get": _plain("Metrics for Prometheus", {"200": {"description": "Prometheus' text format."}})},
    }


def _log_event() -> Json:
    return _operation(
        "Log an event",
        "One question and answer of your app. Any further key is kept as metadata.",
        _reference("Event", required=["input", "output"]),
        {"201": _answer("It is stored.", _reference("Receipt"))},
        [_header("Idempotency-Key", "Ids that you don't give are derived from it.")],
    )


def _log_batch() -> Json:
    return _operation(
        "Log a batch of events",
        "Each event has its own result, in the order of the events; a bad one does not harm the others.",
        _list_of("events", "Event"),
        {"200": _answer("The accepted events are stored.", _reference("BatchResults"))},
        [_header("Idempotency-Key", "Ids that you don't give are derived from it and the place in the batch.")],
    )


def _log_feedback() -> Json:
    return _operation(
        "Give feedback on an event",
        "A thumb up or down of a user. The same feedback sent again is one fact.",
        _reference("Feedback"),
        {"201": _answer("It is stored.", _reference("FeedbackReceipt"))},
        [_path("event_id", _ID), _header("Idempotency-Key", "The feedback's id is derived from it.")],
    )


def _log_legacy() -> Json:
    return _operation(
        "Log a batch of events (API v2)",
        "What the clients of upstream phospho send.",
        _list_of("batched_log_events", "Event"),
        {"200": _answer("The events, or the error of each, in their order.", _reference("LoggedEvents"))},
        [_path("project_id", _PROJECT)],
    )


def _evaluate(summary: str, flag_name: str) -> Json:
    body = {
        "type": "object",
        "required": [flag_name],
        "properties": {flag_name: _FLAG, "notes": _TEXT, "source": _TEXT, "project_id": _PROJECT},
    }
    return _operation(
        f"{summary} (API v2)",
        "What the clients of upstream phospho send.",
        body,
        {"200": _answer("It is stored.", _reference("Evaluation"))},
        [_path("task_id", _ID)],
    )


def _operation(summary: str, description: str, body: Json, answers: Json, parameters: list[Json]) -> Json:
    return {
        "summary": summary,
        "description": description,
        "parameters": [*parameters, _header("X-Phospho-Project", "The project, for an administrator's key.")],
        "requestBody": {"required": True, "content": {"application/json": {"schema": body}}},
        "responses": answers | {status: _problem(text) for status, text in _PROBLEMS.items()},
    }


def _plain(summary: str, answers: Json) -> Json:
    return {"summary": summary, "security": [], "responses": answers}


def _readiness() -> Json:
    return {
        "200": _answer("Everything is.", _reference("Readiness")),
        "503": _answer("What is not, and why.", _reference("Readiness")),
    }


def _answer(description: str, schema: Json) -> Json:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _problem(description: str) -> Json:
    return _answer(description, _reference("Problem"))


def _reference(name: str, **further: Any) -> Json:
    return {"$ref": f"#/components/schemas/{name}", **further}


def _list_of(name: str, schema: str) -> Json:
    items = {"type": "array", "minItems": 1, "items": _reference(schema)}
    return {"type": "object", "required": [name], "properties": {name: items}}


def _path(name: str, schema: Json) -> Json:
    return {"name": name, "in": "path", "required": True, "schema": schema}


def _header(name: str, description: str) -> Json:
    return {
        "name": name,
        "in": "header",
        "description": description,
        "schema": {"type": "string", "maxLength": 255},
    }


def _object(required: list[str], **properties: Json) -> Json:
    return {"type": "object", "required": required, "properties": properties}


def _described(schema: Json, description: str) -> Json:
    return schema | {"description": description}


def _schemas() -> Json:
    return {
        "Event": _event(),
        "Feedback": _feedback(),
        "Receipt": _object(["event_id", "session_id", "created_at"], event_id=_ID, session_id=_ID, created_at=_TIME),
        "FeedbackReceipt": _object(
            ["event_id", "feedback_id", "created_at"], event_id=_ID, feedback_id=_ID, created_at=_TIME
        ),
        "BatchResults": _object(
            ["results", "accepted", "rejected"],
            results={"type": "array", "items": _reference("Result")},
            accepted={"type": "integer"},
            rejected={"type": "integer"},
        ),
        "Result": _result(),
        "LoggedEvents": _object(["logged_events"], logged_events={"type": "array", "items": {"type": "object"}}),
        "Evaluation": _object(
            ["id", "project_id", "flag"],
            id=_ID,
            project_id=_PROJECT,
            flag=_FLAG,
            notes=_TEXT,
            source=_TEXT,
            feedback_id=_ID,
            created_at=_TIME,
        ),
        **otlp_schemas(),
        "Health": _object(["status"], status={"const": "ok"}),
        "Readiness": _object(["status", "checks"], status={"enum": ["ready", "not_ready"]}, checks={"type": "object"}),
        "Problem": _object(["error"], error=_reference("Error")),
        "Error": _object(
            ["code", "message", "hint"],
            code=_described({"type": "string"}, "stable, for programs"),
            message=_described({"type": "string"}, "what happened"),
            hint=_described({"type": "string"}, "what to do"),
        ),
    }


def _event() -> Json:
    return _object(
        ["input"],
        input=_described(_CONTENT, "what went in: text, an OpenAI request, a list of messages"),
        output=_described(
            {"type": ["string", "object", "array", "null"]},
            "what came out; a string, and required, in POST /api/v1/events",
        ),
        session_id=_described(_NULLABLE_ID, "groups the events of one conversation"),
        task_id=_described(_NULLABLE_ID, "your id of this event; the same id again replaces the event"),
        event_id=_described(_NULLABLE_ID, "another name of task_id"),
        user_id=_described(_NULLABLE_ID, "who used the app"),
        version_id=_described(_NULLABLE_ID, "the version of your app"),
        client_created_at=_described({"type": ["number", "null"]}, "Unix seconds"),
        created_at=_described({"type": ["string", "number", "null"]}, "ISO 8601 or Unix seconds"),
        raw_input=_described({}, "what input was made from"),
        raw_output=_described({}, "what output was made from"),
        raw_input_type_name=_TEXT,
        raw_output_type_name=_TEXT,
        system_prompt=_TEXT,
        flag=_FLAG,
        metadata=_described(
            {"type": ["object", "null"]},
            "anything; model, tokens_in, tokens_out and latency_ms are recognised",
        ),
        project_id=_described(_PROJECT | {"type": ["string", "null"]}, "must be the project of the key"),
    )


def _feedback() -> Json:
    return _object(
        [],
        score=_described({"type": ["integer", "null"], "enum": [0, 1, None]}, "1 (positive) or 0 (negative)"),
        flag=_described(_FLAG, "in place of score"),
        comment=_described(_TEXT, "free text"),
        notes=_described(_TEXT, "another name of comment"),
        source=_described(_TEXT, "who judged; user by default"),
        feedback_id=_described(_NULLABLE_ID, "your id of this feedback"),
    )


def _result() -> Json:
    return _object(
        ["status"],
        status={"enum": ["accepted", "rejected"]},
        event_id=_ID,
        task_id=_ID,
        session_id=_ID,
        created_at=_TIME,
        error=_reference("Error"),
    )
