"""The OpenAPI operations of projects and API keys."""

from __future__ import annotations

from phospho_dashboard.openapi.parts import ApiKey
from phospho_schemas.messages import Project, ProjectSettings
from phospho_web.openapi import NUMBER, TEXT, Operation, Schema, list_of, object_schema


def project_operations() -> list[Operation]:
    """Return the operations of projects and API keys."""
    key, project = ApiKey, object_schema(["project"], project=Project)
    changes: dict[str, Schema] = {"name": TEXT, "retention_days": NUMBER, "settings": ProjectSettings}
    return [
        Operation("get", "/keys", "List keys, without their secrets", list_of("keys", key)),
        Operation(
            "post",
            "/keys",
            "Create a key",
            object_schema(["key_id", "api_key"], key_id=TEXT, api_key=TEXT, project_id=TEXT, name=TEXT),
            description="It is shown in this answer and never again.",
            status=201,
            body=object_schema([], name=TEXT | {"maxLength": 128}),
        ),
        Operation("delete", "/keys/{key_id}", "Revoke a key", key, description="It stops working within seconds."),
        Operation("get", "/projects", "List projects", list_of("projects", Project)),
        Operation(
            "post",
            "/projects",
            "Create a project",
            project,
            description="Needs the administrator's key.",
            status=201,
            body=object_schema(["project_id"], project_id=TEXT, **changes),
        ),
        Operation(
            "patch",
            "/projects/{project_id}",
            "Change a project",
            project,
            description="Fields and settings that are not named stay.",
            body=object_schema([], **changes),
        ),
    ]
