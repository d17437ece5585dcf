"""What the OpenAPI document is made of: one operation, and pieces of schemas."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from phospho_schemas.people import ROLES
from phospho_store.cursors import DEFAULT_PAGE, MAX_PAGE

Json = dict[str, Any]

TEXT: Json = {"type": "string"}
NUMBER: Json = {"type": "integer"}
TIME: Json = {"type": "string", "format": "date-time"}
ANY_OBJECT: Json = {"type": "object"}
ROLE: Json = {"enum": list(ROLES)}
# A row of ClickHouse's, or what a page shows of it: its columns may become more.
ROWS: Json = {"type": "array", "items": ANY_OBJECT}
LIMIT: Json = {
    "name": "limit",
    "in": "query",
    "schema": {"type": "integer", "minimum": 1, "maximum": MAX_PAGE, "default": DEFAULT_PAGE},
}


@dataclass(frozen=True)
class Operation:
    """
    One operation: `answer` is the schema of its success, None for one without a body.

    `refusal` is what a 422 says besides a problem, `other_answer` the status and the schema of another success.
    """

    method: str
    path: str
    summary: str
    answer: Json | None
    description: str = ""
    status: int = 200
    body: Json | None = None
    query: tuple[Json, ...] = ()
    refusal: Json | None = None
    other_answer: tuple[int, Json] | None = None


def query_field(name: str, schema: Json, description: str = "") -> Json:
    return {"name": name, "in": "query", "schema": schema, "description": description}


def object_of(required: list[str], /, **properties: Json) -> Json:
    return {"type": "object", "required": required, "properties": properties}


def list_of(name: str, item: Json, *, least: int = 0, most: int | None = None) -> Json:
    bounds = ({"minItems": least} if least else {}) | ({"maxItems": most} if most is not None else {})
    return object_of([name], **{name: {"type": "array", "items": item, **bounds}})


def nullable(schema: Json) -> Json:
    return {"anyOf": [schema, {"type": "null"}]}


def reference(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


def json_content(schema: Json) -> Json:
    return {"application/json": {"schema": schema}}
