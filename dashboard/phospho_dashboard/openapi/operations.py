"""Every operation of the API that reads and manages, as its OpenAPI document describes it."""

from __future__ import annotations

from dataclasses import fields

from phospho_dashboard.annotations.annotations import MAX_LABELS
from phospho_dashboard.definitions.definitions import PREVIEW_TASKS
from phospho_dashboard.openapi.job_operations import job_operations
from phospho_dashboard.openapi.parts import LIMIT, ROLE, ROWS, ApiKey, Definition
from phospho_dashboard.queries.filters import URL_NAMES, Filters
from phospho_dashboard.queries.periods import PERIODS
from phospho_dashboard.sql.api import MEDIA_TYPES
from phospho_dashboard.sql.guard import VIEWS
from phospho_schemas.messages import EventDefinition, Label, Note, Project, ProjectSettings
from phospho_web.openapi import (
    ANY_OBJECT,
    NUMBER,
    TEXT,
    TIME,
    Error,
    Json,
    Operation,
    Schema,
    list_of,
    nullable,
    object_of,
    query_parameter,
)


def operations() -> list[Operation]:
    """Return every operation of the API."""
    return [
        _sql(),
        *_reading(),
        *_definitions(),
        *_acting(),
        *_managing(),
        *_people(),
        *_dead_letters(),
        *job_operations(),
    ]


def _sql() -> Operation:
    return Operation(
        "post",
        "/sql",
        "Ask in SQL",
        {},
        description=f"One SELECT over {', '.join(VIEWS)}, of one's own project: read-only, and bounded in time, memory "
        "and "
        "rows by ClickHouse itself. The answer is in the format that was asked for.",
        success="The rows.",
        answer_types=tuple(sorted({media_type.partition(";")[0] for media_type in MEDIA_TYPES.values()})),
        body=object_of(["query"], query=TEXT, format={"enum": list(MEDIA_TYPES), "default": "JSON"}),
    )


def _reading() -> list[Operation]:
    filters, paging = _filters(), (query_parameter("cursor", TEXT), LIMIT)
    scope = {
        "project_id": TEXT,
        "period": TEXT,
        "from": nullable(TIME),
        "to": nullable(TIME),
        "filters": ANY_OBJECT,
    }
    page = {**scope, "next_cursor": nullable(TEXT)}
    sort = query_parameter("sort", TEXT, "how the list is sorted; another name than those of the page is refused")
    return [
        Operation("get", "/dashboard", "Numbers over time", object_of(list(scope), **scope), parameters=filters),
        Operation(
            "get",
            "/sessions",
            "Sessions",
            object_of([*page, "sessions"], **page, sessions=ROWS),
            parameters=(*filters, sort, *paging),
        ),
        Operation(
            "get",
            "/sessions/{item_id}",
            "The transcript of a session",
            object_of(["session"], session=ANY_OBJECT, next_cursor=nullable(TEXT)),
            parameters=(paging[0],),
        ),
        Operation(
            "get",
            "/tasks",
            "Tasks, with their texts cut",
            object_of([*page, "tasks"], **page, tasks=ROWS),
            parameters=(*filters, sort, *paging),
        ),
        Operation("get", "/tasks/{item_id}", "All of one task", object_of(["task"], task=ANY_OBJECT)),
        Operation(
            "get", "/event-stats", "Events by name", object_of(["events"], **scope, events=ROWS), parameters=filters
        ),
        Operation(
            "get",
            "/event-stats/{item_id}",
            "One event: trend, scores, examples",
            object_of(["name"], name=TEXT),
            parameters=filters,
        ),
        Operation(
            "get",
            "/llm-usage",
            "What judgements of an LLM cost, day by day",
            ANY_OBJECT,
            parameters=(query_parameter("days", NUMBER, "how many days, today included; 7 unless given"),),
        ),
        Operation(
            "get",
            "/users",
            "Users",
            object_of([*page, "users"], **page, users=ROWS),
            parameters=(*filters, sort, *paging),
        ),
        Operation(
            "get",
            "/versions",
            "Versions of the app, side by side",
            object_of(["versions"], **scope, versions=ROWS),
            description="With intervals that stay valid when one looks often.",
            parameters=(*filters, query_parameter("base", TEXT, "the version that the others are compared with")),
        ),
    ]


def _definitions() -> list[Operation]:
    wanted = Definition
    result = object_of(
        ["name", "status"],
        name=nullable(TEXT),
        version=NUMBER,
        status={"enum": ["created", "changed", "unchanged", "rejected"]},
        error=Error,
    )
    return [
        Operation("get", "/definitions", "What is looked for", list_of("definitions", EventDefinition)),
        Operation(
            "post",
            "/definitions",
            "Define events, or change them",
            list_of("results", result),
            description="Those that are not rejected are applied; detection picks them up within seconds. 422 where "
            "all are.",
            body=list_of("definitions", wanted, least=1, most=1000),
            also={422: list_of("results", result)},
        ),
        Operation(
            "post",
            "/definitions/preview",
            "Try a definition",
            object_of(
                ["tasks", "found_now", "found_before", "found", "lost"],
                tasks=NUMBER,
                found_now=NUMBER,
                found_before=NUMBER,
                found=ROWS,
                lost=ROWS,
            ),
            description=f"On the last {PREVIEW_TASKS} tasks. Nothing is stored.",
            body=object_of(["definition"], definition=wanted),
        ),
        Operation(
            "post",
            "/definitions/delete",
            "Look for several no longer",
            None,
            description="All are deleted, or none. What they found stays.",
            status=204,
            body=list_of("names", TEXT, least=1, most=1000),
        ),
        Operation(
            "delete",
            "/definitions/{name}",
            "Look for it no longer",
            None,
            description="What it found stays.",
            status=204,
        ),
    ]


def _acting() -> list[Operation]:
    label = object_of(
        ["event", "task_id", "label"],
        event=TEXT,
        task_id=TEXT,
        label={"enum": ["confirmed", "rejected", ""]},
        value=nullable({"type": "number"}),
        category=TEXT,
        comment=TEXT,
    )
    return [
        Operation(
            "get",
            "/labels",
            "What people said of events",
            object_of(["labels", "next_cursor"], labels=ROWS, next_cursor=nullable(TEXT)),
            parameters=(
                query_parameter("event", TEXT, "the labels of this event alone"),
                query_parameter("cursor", TEXT),
                LIMIT,
            ),
        ),
        Operation(
            "post",
            "/labels",
            "Confirm, reject or add events",
            list_of("labels", Label),
            description="All are stored, or none. An empty label takes a label back; a confirmed event that detection "
            "did not "
            "find is added to its task. Labels correct what readers see, and teach detection.",
            status=201,
            body=list_of("labels", label, least=1, most=MAX_LABELS),
        ),
        Operation(
            "post",
            "/tasks/{task_id}/notes",
            "Write a note on a task",
            object_of(["note"], note=Note),
            status=201,
            body=object_of(["text"], text=TEXT | {"maxLength": 10_000}),
        ),
        Operation("delete", "/tasks/{task_id}/notes/{note_id}", "Delete a note", None, status=204),
    ]


def _managing() -> list[Operation]:
    key, project = ApiKey, object_of(["project"], project=Project)
    changes: dict[str, Schema] = {"name": TEXT, "retention_days": NUMBER, "settings": ProjectSettings}
    return [
        Operation("get", "/keys", "Keys, without their secrets", list_of("keys", key)),
        Operation(
            "post",
            "/keys",
            "Make a key",
            object_of(["key_id", "api_key"], key_id=TEXT, api_key=TEXT, project_id=TEXT, name=TEXT),
            description="It is shown in this answer and never again.",
            status=201,
            body=object_of([], name=TEXT | {"maxLength": 128}),
        ),
        Operation("delete", "/keys/{key_id}", "Revoke a key", key, description="It stops working within seconds."),
        Operation("get", "/projects", "Projects", list_of("projects", Project)),
        Operation(
            "post",
            "/projects",
            "Make a project",
            project,
            description="Takes the administrator's key.",
            status=201,
            body=object_of(["project_id"], project_id=TEXT, **changes),
        ),
        Operation(
            "patch",
            "/projects/{project_id}",
            "Change a project",
            project,
            description="What is not named stays, among the settings too.",
            body=object_of([], **changes),
        ),
    ]


def _people() -> list[Operation]:
    person = object_of(
        ["name", "role", "created_at", "has_password"],
        name=TEXT,
        role=ROLE,
        created_at=TIME,
        has_password={"type": "boolean"},
    )
    one_person = object_of(["person"], person=person)
    return [
        Operation(
            "get",
            "/people",
            "Who may sign in to the pages",
            list_of("people", person),
            description="Takes the administrator's key.",
        ),
        Operation(
            "post",
            "/people",
            "Add a person",
            one_person,
            description="Takes the administrator's key. Without a password, for who comes through a proxy.",
            status=201,
            body=object_of(["name"], name=TEXT, role=ROLE, password=TEXT),
        ),
        Operation(
            "patch",
            "/people/{name}",
            "Change a role or a password",
            one_person,
            description="A new password signs the person out everywhere.",
            body=object_of([], role=ROLE, password=TEXT),
        ),
        Operation("delete", "/people/{name}", "Remove a person", None, status=204),
    ]


def _dead_letters() -> list[Operation]:
    return [
        Operation(
            "get",
            "/dead-letters",
            "What no stage could read",
            object_of(["dead_letters", "next_cursor"], dead_letters=ROWS, next_cursor=nullable(TEXT)),
            parameters=(query_parameter("cursor", TEXT), LIMIT),
        ),
        Operation(
            "get",
            "/dead-letters/{dead_letter_id}",
            "One dead letter, with its bytes",
            object_of(["dead_letter"], dead_letter=ANY_OBJECT),
        ),
        Operation(
            "post",
            "/dead-letters/{dead_letter_id}/replay",
            "Log it again",
            object_of(
                ["dead_letter_id", "status", "topic", "project_id", "task_id"],
                dead_letter_id=TEXT,
                status=TEXT,
                topic=TEXT,
                project_id=TEXT,
                task_id=TEXT,
            ),
            description="As it came, or mended. Twice is one task.",
            status=202,
            body=object_of([], payload=TEXT),
        ),
    ]


def _filters() -> tuple[Json, ...]:
    names = [URL_NAMES.get(field.name, field.name) for field in fields(Filters)]
    known = {"period": {"enum": list(PERIODS)}, "from": TIME, "to": TIME}
    return tuple(query_parameter(name, known.get(name, TEXT), "narrows to this") for name in names)
