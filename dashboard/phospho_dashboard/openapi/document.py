"""`/api/openapi.json`: the API that reads and manages, as OpenAPI 3.1. A test compares it with the routes."""

from __future__ import annotations

import orjson
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from phospho_dashboard.definitions.definitions import DEFINITION_FIELDS
from phospho_dashboard.openapi.operations import operations
from phospho_dashboard.openapi.parts import TEXT, Json, Operation, json_content, object_of, reference
from phospho_dashboard.sql.api import MEDIA_TYPES
from phospho_schemas.messages import ApiKey, Backfill, EventDefinition, Label, Note, Project, ProjectSettings

_UNSAID = ("revision", "is_deleted")
_PROJECT_HEADER: Json = {
    "name": "X-Phospho-Project",
    "in": "header",
    "description": "The project, for an administrator's key; the oldest one where it is missing.",
    "schema": TEXT,
}

_PROBLEMS = {
    "400": "The query or the body can't be read.",
    "401": "The API key is missing, unknown or revoked.",
    "403": "The key is another project's, or may not do this.",
    "404": "There is nothing of that name.",
    "409": "It is there already, or stands in the way of something.",
    "413": "The body is too large.",
    "422": "The content is not valid; the message says what and why.",
    "503": "ClickHouse or Kafka does not answer: send the same request again after the time in Retry-After.",
}


def openapi_routes() -> list[Route]:
    """Return the route of the document, which is made once. It asks for no key: it says nothing of any project."""
    encoded = orjson.dumps(document())

    async def openapi_json(request: Request) -> Response:
        return Response(encoded, media_type="application/json")

    return [Route("/api/openapi.json", openapi_json)]


def document() -> Json:
    """Return the document. It names no server: the API is where the document was read."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "phospho: query and management",
            "version": "1",
            "description": "Read what was logged and found, and set what is looked for. Ingest is described in "
            "/openapi.json of the same server. Errors have one shape: code, message, hint. Lists come in pages: send "
            "`next_cursor` of one as `cursor` of the next, until it is null; rows that come meanwhile move nothing.",
        },
        "security": [{"api_key": []}],
        "paths": _paths(),
        "components": {
            "securitySchemes": {"api_key": {"type": "http", "scheme": "bearer", "description": "ph_..."}},
            "schemas": _schemas(),
        },
    }


def _paths() -> Json:
    paths: Json = {}
    for operation in operations():
        paths.setdefault(f"/api/v1{operation.path}", {})[operation.method] = _operation(operation)
    return paths


def _operation(operation: Operation) -> Json:
    names = [part[1:-1] for part in operation.path.split("/") if part.startswith("{")]
    in_path = [{"name": name, "in": "path", "required": True, "schema": TEXT} for name in names]
    described: Json = {
        "operationId": f"{operation.method}{operation.path}".replace("/", "_").replace("{", "").replace("}", ""),
        "summary": operation.summary,
        "description": operation.description,
        "parameters": [*in_path, *operation.query, _PROJECT_HEADER],
        "responses": _successes(operation) | _problems(operation.refusal),
    }
    if operation.body is not None:
        described["requestBody"] = {"required": True, "content": json_content(operation.body)}
    return described


def _successes(operation: Operation) -> Json:
    found = {str(operation.status): _success(operation)}
    if operation.other_answer is not None:
        status, schema = operation.other_answer
        found[str(status)] = {"description": "Done.", "content": json_content(schema)}
    return found


def _success(operation: Operation) -> Json:
    if operation.path == "/sql":
        formats = sorted({media_type.partition(";")[0] for media_type in MEDIA_TYPES.values()})
        return {"description": "The rows.", "content": {media_type: {} for media_type in formats}}
    if operation.answer is None:
        return {"description": "Done."}
    return {"description": "Done.", "content": json_content(operation.answer)}


def _problems(refusal: Json | None) -> Json:
    problem = reference("Problem")
    found = {status: {"description": text, "content": json_content(problem)} for status, text in _PROBLEMS.items()}
    if refusal is not None:
        found["422"]["content"] = json_content({"anyOf": [problem, refusal]})
    return found


def _schemas() -> Json:
    models: list[type[BaseModel]] = [ApiKey, Backfill, EventDefinition, Label, Note, Project, ProjectSettings]
    _, generated = models_json_schema(
        [(model, "serialization") for model in models], ref_template="#/components/schemas/{model}"
    )
    schemas: Json = generated["$defs"]
    # What the API says of a key is less than what is stored of it.
    public = ("key_id", "project_id", "prefix", "name", "created_at", "revoked_at")
    schemas["ApiKey"] = object_of(list(public), **{name: schemas["ApiKey"]["properties"][name] for name in public})
    for name in ("Label", "Note"):
        schemas[name]["required"] = [field for field in schemas[name].get("required", []) if field not in _UNSAID]
    definition = schemas["EventDefinition"]["properties"]
    return schemas | {
        "Definition": object_of(["name"], **{name: definition[name] for name in DEFINITION_FIELDS}),
        "SettingsChanges": object_of([], **schemas["ProjectSettings"]["properties"]),
        "Problem": object_of(["error"], error=reference("Error")),
        "Error": object_of(["code", "message", "hint"], code=TEXT, message=TEXT, hint=TEXT),
    }
