"""The OpenAPI operations of people."""

from __future__ import annotations

from phospho_dashboard.openapi.parts import ROLE
from phospho_web.openapi import TEXT, TIME, Operation, list_of, object_schema


def people_operations() -> list[Operation]:
    """Return the operations of people."""
    person = object_schema(
        ["name", "role", "created_at", "has_password"],
        name=TEXT,
        role=ROLE,
        created_at=TIME,
        has_password={"type": "boolean"},
    )
    one_person = object_schema(["person"], person=person)
    return [
        Operation(
            "get",
            "/people",
            "List people",
            list_of("people", person),
            description="Needs the administrator's key.",
        ),
        Operation(
            "post",
            "/people",
            "Add a person",
            one_person,
            description="Needs the administrator's key. Leave the password out for people who come through a proxy.",
            status=201,
            body=object_schema(["name"], name=TEXT, role=ROLE, password=TEXT),
        ),
        Operation(
            "patch",
            "/people/{name}",
            "Change a role or a password",
            one_person,
            description="A new password signs the person out everywhere.",
            body=object_schema([], role=ROLE, password=TEXT),
        ),
        Operation("delete", "/people/{name}", "Remove a person", None, status=204),
    ]
