"""Pieces of OpenAPI schemas."""

from __future__ import annotations

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
