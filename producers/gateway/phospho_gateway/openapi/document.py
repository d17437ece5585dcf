"""The OpenAPI document of the gateway, and the statuses that each operation may answer."""

from __future__ import annotations

from phospho_gateway.legacy.openapi import legacy_paths, legacy_schemas
from phospho_gateway.openapi.parts import (
    CONTENT,
    FLAG,
    ID,
    NULLABLE_ID,
    PROJECT,
    TEXT,
    TIME,
    Json,
    answer,
    described,
    in_header,
    in_path,
    list_of,
    object_type,
    operation,
    reference,
)
from phospho_gateway.otlp.openapi import otlp_paths, otlp_schemas


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
        **{path: _legacy(methods) for path, methods in (_ingest_v2() | legacy_paths()).items()},
        **otlp_paths(),
        "/healthz": {"get": _plain("Is the process alive?", {"200": answer("It is.", reference("Health"))})},
        "/readyz": {"get": _plain("Is everything there that it needs?", _readiness())},
        "/metrics": {"get": _plain("Metrics for Prometheus", {"200": {"description": "Prometheus' text format."}})},
    }


def _ingest_v2() -> Json:
    return {
        "/v2/log/{project_id}": {"post": _log_legacy()},
        "/v2/tasks/{task_id}/flag": {"post": _evaluate("Flag a task", "flag")},
        "/v2/tasks/{task_id}/human-eval": {"post": _evaluate("Evaluate a task", "human_eval")},
    }


def _legacy(methods: Json) -> Json:
    return {method: {"tags": ["legacy"]} | described for method, described in methods.items()}


def _log_event() -> Json:
    return operation(
        "Log an event",
        "One question and answer of your app. Any further key is kept as metadata.",
        reference("Event", required=["input", "output"]),
        {"201": answer("It is stored.", reference("Receipt"))},
        [in_header("Idempotency-Key", "Ids that you don't give are derived from it.")],
    )


def _log_batch() -> Json:
    return operation(
        "Log a batch of events",
        "Each event has its own result, in the order of the events; a bad one does not harm the others.",
        list_of("events", "Event"),
        {"200": answer("The accepted events are stored.", reference("BatchResults"))},
        [in_header("Idempotency-Key", "Ids that you don't give are derived from it and the place in the batch.")],
    )


def _log_feedback() -> Json:
    return operation(
        "Give feedback on an event",
        "A thumb up or down of a user. The same feedback sent again is one fact.",
        reference("Feedback"),
        {"201": answer("It is stored.", reference("FeedbackReceipt"))},
        [in_path("event_id", ID), in_header("Idempotency-Key", "The feedback's id is derived from it.")],
    )


def _log_legacy() -> Json:
    return operation(
        "Log a batch of events (API v2)",
        "What the clients of upstream phospho send.",
        list_of("batched_log_events", "Event"),
        {"200": answer("The events, or the error of each, in their order.", reference("LoggedEvents"))},
        [in_path("project_id", PROJECT)],
    )


def _evaluate(summary: str, flag_name: str) -> Json:
    body = {
        "type": "object",
        "required": [flag_name],
        "properties": {flag_name: FLAG, "notes": TEXT, "source": TEXT, "project_id": PROJECT},
    }
    return operation(
        f"{summary} (API v2)",
        "What the clients of upstream phospho send.",
        body,
        {"200": answer("It is stored.", reference("Evaluation"))},
        [in_path("task_id", ID)],
    )


def _plain(summary: str, answers: Json) -> Json:
    return {"summary": summary, "security": [], "responses": answers}


def _readiness() -> Json:
    return {
        "200": answer("Everything is.", reference("Readiness")),
        "503": answer("What is not, and why.", reference("Readiness")),
    }


def _schemas() -> Json:
    return legacy_schemas() | {
        "Event": _event(),
        "Feedback": _feedback(),
        "Receipt": object_type(["event_id", "session_id", "created_at"], event_id=ID, session_id=ID, created_at=TIME),
        "FeedbackReceipt": object_type(
            ["event_id", "feedback_id", "created_at"], event_id=ID, feedback_id=ID, created_at=TIME
        ),
        "BatchResults": object_type(
            ["results", "accepted", "rejected"],
            results={"type": "array", "items": reference("Result")},
            accepted={"type": "integer"},
            rejected={"type": "integer"},
        ),
        "Result": _result(),
        "LoggedEvents": object_type(["logged_events"], logged_events={"type": "array", "items": {"type": "object"}}),
        "Evaluation": object_type(
            ["id", "project_id", "flag"],
            id=ID,
            project_id=PROJECT,
            flag=FLAG,
            notes=TEXT,
            source=TEXT,
            feedback_id=ID,
            created_at=TIME,
        ),
        **otlp_schemas(),
        "Health": object_type(["status"], status={"const": "ok"}),
        "Readiness": object_type(
            ["status", "checks"], status={"enum": ["ready", "not_ready"]}, checks={"type": "object"}
        ),
        "Problem": object_type(["error"], error=reference("Error")),
        "Error": object_type(
            ["code", "message", "hint"],
            code=described({"type": "string"}, "stable, for programs"),
            message=described({"type": "string"}, "what happened"),
            hint=described({"type": "string"}, "what to do"),
        ),
    }


def _event() -> Json:
    return object_type(
        ["input"],
        input=described(CONTENT, "what went in: text, an OpenAI request, a list of messages"),
        output=described(
            {"type": ["string", "object", "array", "null"]},
            "what came out; a string, and required, in POST /api/v1/events",
        ),
        session_id=described(NULLABLE_ID, "groups the events of one conversation"),
        task_id=described(NULLABLE_ID, "your id of this event; the same id again replaces the event"),
        event_id=described(NULLABLE_ID, "another name of task_id"),
        user_id=described(NULLABLE_ID, "who used the app"),
        version_id=described(NULLABLE_ID, "the version of your app"),
        client_created_at=described({"type": ["number", "null"]}, "Unix seconds"),
        created_at=described({"type": ["string", "number", "null"]}, "ISO 8601 or Unix seconds"),
        raw_input=described({}, "what input was made from"),
        raw_output=described({}, "what output was made from"),
        raw_input_type_name=TEXT,
        raw_output_type_name=TEXT,
        system_prompt=TEXT,
        flag=FLAG,
        metadata=described(
            {"type": ["object", "null"]},
            "anything; model, tokens_in, tokens_out and latency_ms are recognised",
        ),
        project_id=described(PROJECT | {"type": ["string", "null"]}, "must be the project of the key"),
    )


def _feedback() -> Json:
    return object_type(
        [],
        score=described({"type": ["integer", "null"], "enum": [0, 1, None]}, "1 (positive) or 0 (negative)"),
        flag=described(FLAG, "in place of score"),
        comment=described(TEXT, "free text"),
        notes=described(TEXT, "another name of comment"),
        source=described(TEXT, "who judged; user by default"),
        feedback_id=described(NULLABLE_ID, "your id of this feedback"),
    )


def _result() -> Json:
    return object_type(
        ["status"],
        status={"enum": ["accepted", "rejected"]},
        event_id=ID,
        task_id=ID,
        session_id=ID,
        created_at=TIME,
        error=reference("Error"),
    )
