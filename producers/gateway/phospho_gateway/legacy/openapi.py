"""The part of the OpenAPI document that describes the legacy API."""

from __future__ import annotations

from phospho_gateway.legacy.page_requests import MAX_LIMIT
from phospho_gateway.legacy.reads.filters import FILTERS
from phospho_gateway.legacy.writes.conversation import MERGE_MODES
from phospho_gateway.openapi.parts import (
    FLAG,
    ID,
    NULLABLE_ID,
    PROJECT,
    TEXT,
    Json,
    answer,
    array_of,
    described,
    in_path,
    in_query,
    object_type,
    operation,
    reference,
)

_STRING = {"type": "string"}
_SECONDS = {"type": "integer"}
_COUNT = {"type": "integer"}
_NULLABLE_SECONDS = {"type": ["number", "null"]}
_OBJECT = {"type": "object"}
_NULLABLE_OBJECT = {"type": ["object", "null"]}
_SWITCH = {"type": ["boolean", "null"]}
_CURSOR = described(TEXT, "next_cursor of the page before")
_LIMIT = {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT}
_NULLABLE_LIMIT = described({"type": ["integer", "null"], "minimum": 1, "maximum": MAX_LIMIT}, "1,000 by default")
_IN_PROJECT, _IN_SESSION, _IN_TASK = (
    in_path("project_id", PROJECT),
    in_path("session_id", ID | {"minLength": 1}),
    in_path("task_id", ID | {"minLength": 1}),
)
_PAGE = [
    in_query("limit", _LIMIT, "How many, 1,000 by default."),
    in_query("cursor", _STRING, "next_cursor of the page before."),
]


def legacy_paths() -> Json:
    """Return the operations, by path and method."""
    session_tasks = "In the order of the conversation."
    return {
        "/v2/tasks": {"post": _create_task()},
        "/v2/tasks/{task_id}": {"get": _read("Read a task", "", "Task", [_IN_TASK]), "post": _change_task()},
        "/v2/sessions": {"post": _create_session()},
        "/v2/sessions/{session_id}": {"get": _read("Read a session", "", "Session", [_IN_SESSION])},
        "/v2/sessions/{session_id}/tasks": {
            "get": _read("Read the tasks of a session", session_tasks, "TaskPage", [_IN_SESSION, *_PAGE]),
            "post": _list("Read the tasks of a session", session_tasks, "PageRequest", "TaskPage", [_IN_SESSION]),
        },
        "/v2/sessions/{session_id}/transcript": {
            "get": _read("Read a session as text", session_tasks, "Transcript", [_IN_SESSION, *_PAGE]),
        },
        "/v2/projects/{project_id}": {"get": _read("Read a project", "", "Project", [_IN_PROJECT])},
        "/v2/projects/{project_id}/sessions": {
            "get": _read("Read sessions", "The latest first.", "SessionPage", [_IN_PROJECT, *_PAGE]),
            "post": _list("Read sessions", "Of tasks that pass.", "ListRequest", "SessionPage", [_IN_PROJECT]),
        },
        "/v2/projects/{project_id}/tasks": {
            "post": _list("Read tasks", "The newest first.", "ListRequest", "TaskPage", [_IN_PROJECT]),
        },
        "/v2/projects/{project_id}/tasks/flat": {
            "post": _list("Read tasks as rows", "A row for each event.", "FlatRequest", "FlatPage", [_IN_PROJECT]),
        },
        "/v2/projects/{project_id}/tasks/flat-update": {"post": _flat_update()},
        "/v3/log": {"post": _log_messages()},
    }


def _read(summary: str, description: str, schema: str, parameters: list[Json]) -> Json:
    return operation(summary, description, None, {"200": answer("It.", reference(schema))}, parameters)


def _list(summary: str, description: str, asked: str, answered: str, parameters: list[Json]) -> Json:
    answers = {"200": answer("A page.", reference(answered))}
    return operation(summary, description, reference(asked), answers, parameters, is_body_required=False)


def _create_task() -> Json:
    return operation(
        "Log a task",
        "As POST /api/v1/events, in the form of upstream's clients.",
        reference("NewTask"),
        {"200": answer("It is stored.", reference("Task"))},
        [],
    )


def _change_task() -> Json:
    return operation(
        "Change a task",
        "Metadata is laid over what there is. A flag is feedback of its own, and notes are its comment.",
        reference("TaskChange"),
        {"200": answer("It is stored.", reference("Task"))},
        [_IN_TASK],
    )


def _create_session() -> Json:
    return operation(
        "Make the id of a session",
        "Nothing is stored: a session is there with its first task. The answer names what was ignored.",
        object_type([], project_id=PROJECT | {"type": ["string", "null"]}, data=_NULLABLE_OBJECT),
        {"200": answer("An id that is new.", reference("Session"))},
        [],
        is_body_required=False,
    )


def _flat_update() -> Json:
    return operation(
        "Change tasks by rows",
        "Writes task_metadata and task_eval. The answer names the fields that are not written.",
        object_type(["flattened_tasks"], flattened_tasks=array_of(reference("FlatChange"))),
        {"200": answer("The changes are stored.", reference("FlatOutcome"))},
        [_IN_PROJECT],
    )


def _log_messages() -> Json:
    return operation(
        "Log conversations",
        "Each turn of the user and what answered it becomes a task. A conversation may be sent again as it grows.",
        object_type(["batched_log_events"], batched_log_events=array_of(reference("Conversation")), project_id=PROJECT),
        {"200": answer("The conversations, or the error of each, in their order.", reference("LoggedEvents"))},
        [],
    )


def legacy_schemas() -> Json:
    """Return the schemas that the operations name."""
    return _requests() | _answers() | _models()


def _requests() -> Json:
    closed = {"additionalProperties": False}
    return {
        "PageRequest": object_type([], limit=_NULLABLE_LIMIT, cursor=_CURSOR) | closed,
        "ListRequest": object_type(
            [],
            limit=_NULLABLE_LIMIT,
            cursor=_CURSOR,
            filters=described(
                {"type": ["object", "null"], "propertyNames": {"enum": list(FILTERS)}},
                "upstream's ProjectDataFilters; all of them hold together",
            ),
        )
        | closed,
        "FlatRequest": object_type(
            [],
            limit=_NULLABLE_LIMIT,
            cursor=_CURSOR,
            with_events=_SWITCH,
            with_sessions=_SWITCH,
            with_removed_events=described(_SWITCH, "changes nothing: no event is ever marked as removed"),
        )
        | closed,
        "NewTask": _new_task(),
        "TaskChange": object_type(
            [], metadata=_NULLABLE_OBJECT, data=_NULLABLE_OBJECT, notes=TEXT, flag=FLAG, flag_source=TEXT
        ),
        "FlatChange": object_type(
            ["task_id"],
            task_id=ID | {"minLength": 1},
            task_metadata=_NULLABLE_OBJECT,
            task_eval=FLAG,
            task_eval_source=TEXT,
            task_eval_at=_NULLABLE_SECONDS,
        ),
        "Conversation": _conversation(),
    }


def _new_task() -> Json:
    return object_type(
        ["input"],
        input=_STRING,
        output=TEXT,
        task_id=NULLABLE_ID,
        session_id=NULLABLE_ID,
        project_id=PROJECT | {"type": ["string", "null"]},
        flag=FLAG,
        metadata=_NULLABLE_OBJECT,
        data=described(_NULLABLE_OBJECT, "kept as metadata"),
        additional_input=described(_NULLABLE_OBJECT, "raw_input of a log"),
        additional_output=described(_NULLABLE_OBJECT, "raw_output of a log"),
    )


def _conversation() -> Json:
    message = object_type(
        ["role"],
        role=described(_STRING, "system, user or assistant; others stay in raw_input"),
        content={},
        id=described(TEXT, "of the first message of a turn: knows the turn again in its session"),
    )
    return object_type(
        ["messages"],
        messages=array_of(message, minItems=1),
        session_id=NULLABLE_ID,
        merge_mode=described(
            {"enum": [*MERGE_MODES, None]},
            "resolve (default): a turn is known by the id of its first message, else by what the user said and by the "
            "turn before: a window on the last messages needs ids; replace: by its place; append: all are new",
        ),
        created_at=described({"type": ["string", "number", "null"]}, "of the first turn; ISO 8601 or Unix seconds"),
        metadata=_NULLABLE_OBJECT,
        version_id=NULLABLE_ID,
        user_id=NULLABLE_ID,
        flag=FLAG,
    )


def _answers() -> Json:
    return {
        "TaskPage": object_type(["tasks", "next_cursor"], tasks=array_of(reference("Task")), next_cursor=TEXT),
        "SessionPage": object_type(
            ["sessions", "next_cursor"], sessions=array_of(reference("Session")), next_cursor=TEXT
        ),
        "FlatPage": object_type(
            ["flattened_tasks", "next_cursor"], flattened_tasks=array_of(reference("FlattenedTask")), next_cursor=TEXT
        ),
        "Transcript": object_type(["transcript", "next_cursor"], transcript=_STRING, next_cursor=TEXT),
        "FlatOutcome": object_type(
            ["changed", "unchanged", "not_found", "errors", "ignored_fields"],
            changed=_COUNT,
            unchanged=_COUNT,
            not_found=array_of(_STRING),
            errors=described(
                array_of(object_type(["task_id", "error"], task_id=ID, error=_OBJECT)),
                "tasks that are as they were, as their change is refused; the error as code, message and hint",
            ),
            ignored_fields=described(array_of(_STRING), "fields that said something and are not written"),
        ),
    }


def _models() -> Json:
    return {"Task": _task(), "Session": _session(), "Project": _project(), "FlattenedTask": _flattened_task()}


def _task() -> Json:
    return object_type(
        ["id", "created_at", "project_id", "session_id", "input", "output", "metadata", "events"],
        id=ID,
        task_id=ID,
        created_at=_SECONDS,
        project_id=PROJECT,
        session_id=ID,
        input=_STRING,
        output=TEXT,
        additional_input=_OBJECT,
        additional_output=_OBJECT,
        metadata=_OBJECT,
        data=_OBJECT,
        flag=FLAG,
        last_eval=_NULLABLE_OBJECT,
        human_eval=_NULLABLE_OBJECT,
        notes=TEXT,
        sentiment=_NULLABLE_OBJECT,
        language=TEXT,
        events=array_of(_OBJECT),
        task_position=described({"type": ["integer", "null"]}, "from 1, in its session"),
        is_last_task={"type": ["boolean", "null"]},
    )


def _session() -> Json:
    return object_type(
        ["id", "created_at", "project_id", "events", "session_length"],
        id=ID,
        created_at=_SECONDS,
        project_id=PROJECT,
        metadata=_OBJECT,
        data=_OBJECT,
        preview=TEXT,
        events=described(array_of(_OBJECT), "the first 50"),
        tasks={"type": "null"},
        session_length=_COUNT,
        stats=_OBJECT,
        last_message_ts=_SECONDS,
        ignored=described(array_of(_STRING), "fields of a new session that are not stored"),
    )


def _project() -> Json:
    return object_type(
        ["id", "created_at", "org_id", "project_name", "settings"],
        id=PROJECT,
        created_at=_SECONDS,
        org_id=_STRING,
        project_name=_STRING,
        settings=object_type(["events"], events=_OBJECT),
    )


def _flattened_task() -> Json:
    return object_type(
        ["task_id", "task_input", "task_metadata", "task_created_at"],
        task_id=ID,
        task_input=_STRING,
        task_output=TEXT,
        task_metadata=_OBJECT,
        task_eval=FLAG,
        task_eval_source=TEXT,
        task_eval_at=_NULLABLE_SECONDS,
        task_created_at=_SECONDS,
        task_position=_COUNT,
        session_id=ID,
        session_length=_COUNT,
        event_id=TEXT,
        event_name=TEXT,
    )
