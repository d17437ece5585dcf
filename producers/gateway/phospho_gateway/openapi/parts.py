"""What OpenAPI documents are put together from: parameters, answers, and the types that fields share."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]

ID = {"type": "string", "maxLength": 512}
NULLABLE_ID = {"type": ["string", "integer", "null"], "maxLength": 512}
TEXT = {"type": ["string", "null"]}
FLAG = {"type": ["string", "null"], "enum": ["success", "failure", None]}
CONTENT = {"type": ["string", "object", "array"]}
TIME = {"type": "string", "format": "date-time"}
PROJECT = {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9_.\\-]{0,127}$"}

PROBLEMS = {
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


_OF_A_BODY = ("408", "413", "415")


def operation(
    summary: str,
    description: str,
    body: Json | None,
    answers: Json,
    parameters: list[Json],
    is_body_required: bool = True,
) -> Json:
    """Return an operation; `body` is the schema of its JSON, None where it takes none."""
    refused = {status: problem(text) for status, text in PROBLEMS.items() if body or status not in _OF_A_BODY}
    return {
        "summary": summary,
        "description": description,
        "parameters": [*parameters, in_header("X-Phospho-Project", "The project, for an administrator's key.")],
        **({"requestBody": _request_body(body, is_body_required)} if body else {}),
        "responses": answers | refused,
    }


def _request_body(schema: Json, is_required: bool) -> Json:
    return {"required": is_required, "content": {"application/json": {"schema": schema}}}


def answer(description: str, schema: Json) -> Json:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def problem(description: str) -> Json:
    return answer(description, reference("Problem"))


def reference(name: str, **further: Any) -> Json:
    return {"$ref": f"#/components/schemas/{name}", **further}


def list_of(name: str, schema: str) -> Json:
    items = {"type": "array", "minItems": 1, "items": reference(schema)}
    return {"type": "object", "required": [name], "properties": {name: items}}


def in_path(name: str, schema: Json) -> Json:
    return {"name": name, "in": "path", "required": True, "schema": schema}


def in_header(name: str, description: str) -> Json:
    return {
        "name": name,
        "in": "header",
        "description": description,
        "schema": {"type": "string", "maxLength": 255},
    }


def in_query(name: str, schema: Json, description: str) -> Json:
    return {"name": name, "in": "query", "description": description, "schema": schema}


def array_of(items: Json, **further: Any) -> Json:
    return {"type": "array", "items": items, **further}


def object_type(required: list[str], **properties: Json) -> Json:
    return {"type": "object", "required": required, "properties": properties}


def described(schema: Json, description: str) -> Json:
    return schema | {"description": description}
