"""
OpenAPI documents, put together from operations.

A schema is JSON, or a pydantic model; models may stand anywhere inside JSON, and become components of the document.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import KW_ONLY, dataclass, field
from typing import Any

import orjson
from pydantic import BaseModel, ConfigDict, Field, create_model
from pydantic.json_schema import GenerateJsonSchema, models_json_schema

Json = dict[str, Any]
Schema = Json | type[BaseModel]

JSON = "application/json"

TEXT: Json = {"type": "string"}
NUMBER: Json = {"type": "integer"}
TIME: Json = {"type": "string", "format": "date-time"}
ANY_OBJECT: Json = {"type": "object"}
# Of a route's parameter: `{name:path}`.
_CONVERTOR = re.compile(r":\w+\}")
_BINARY: Json = {"type": "string", "format": "binary"}


class Error(BaseModel):
    code: str = Field(description="stable, for programs")
    message: str = Field(description="what happened")
    hint: str = Field(description="what to do")


class ErrorBody(BaseModel):
    error: Error


@dataclass(frozen=True)
class Problems:
    """The errors of operations: a description for each status, and the schema that all of them have."""

    descriptions: Mapping[int, str]
    schema: Schema = ErrorBody
    media_types: tuple[str, ...] = (JSON,)


@dataclass(frozen=True)
class Operation:
    """
    One operation. `answer` is the schema of its success, None for one without a body. The path may be a route's, whose
    parameters have convertors.

    `also` are the schemas of further answers, by their status; beside a problem of the same status it may be either.
    `problems` replace those of the document. An operation that is `open` needs no key.
    """

    method: str
    path: str
    summary: str
    answer: Schema | None = None
    _: KW_ONLY
    description: str = ""
    status: int = 200
    success: str = "Done."
    answer_types: tuple[str, ...] = (JSON,)
    body: Schema | None = None
    is_body_required: bool = True
    body_types: tuple[str, ...] = (JSON,)
    parameters: tuple[Json, ...] = ()
    also: Mapping[int, Schema] = field(default_factory=dict)
    problems: Problems | None = None
    is_open: bool = False
    tags: tuple[str, ...] = ()


@dataclass(frozen=True)
class Api:
    """The part of a document that its operations share; a path parameter is a text unless it has a schema here."""

    title: str
    description: str
    problems: Problems
    parameters: tuple[Json, ...] = ()
    path_parameters: Mapping[str, Json] = field(default_factory=dict)
    prefix: str = ""


def document(api: Api, operations: Iterable[Operation]) -> Json:
    """Return the OpenAPI document. It names no server: the API is where the document was read."""
    models: dict[str, type[BaseModel]] = {}
    paths: Json = {}
    for operation in operations:
        rendered = _with_references(_operation(api, operation), models)
        paths.setdefault(api.prefix + _documented_path(operation), {})[operation.method] = rendered
    return {
        "openapi": "3.1.0",
        "info": {"title": api.title, "version": "1", "description": api.description},
        "security": [{"api_key": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {"api_key": {"type": "http", "scheme": "bearer", "description": "ph_..."}},
            "schemas": _components(models.values()),
        },
    }


def object_schema(required: Iterable[str], /, **properties: Schema) -> Json:
    """Return the schema of an object."""
    return {"type": "object", "required": list(required), "properties": properties}


def list_of(name: str, item: Schema, *, least: int = 0, most: int | None = None) -> Json:
    """Return the schema of an object with one list."""
    bounds = ({"minItems": least} if least else {}) | ({"maxItems": most} if most is not None else {})
    return object_schema([name], **{name: {"type": "array", "items": item, **bounds}})


def nullable(schema: Schema) -> Json:
    """Return a schema that null has as well."""
    return {"anyOf": [schema, {"type": "null"}]}


def part_of(
    model: type[BaseModel], name: str, fields: Iterable[str], *, required: Iterable[str] = ()
) -> type[BaseModel]:
    """Return a model of some fields of another. Those that are `required` are so in spite of their defaults."""
    config = ConfigDict(json_schema_extra={"required": list(required)}) if required else None
    definitions: dict[str, Any] = {
        field: (model.model_fields[field].annotation, model.model_fields[field]) for field in fields
    }
    return create_model(name, __config__=config, **definitions)


def query_parameter(name: str, schema: Json, description: str = "") -> Json:
    """Return a parameter of the query string."""
    return {"name": name, "in": "query", "schema": schema, "description": description}


def header_parameter(name: str, description: str) -> Json:
    """Return a header of the request."""
    return {"name": name, "in": "header", "description": description, "schema": TEXT | {"maxLength": 255}}


def encoded(content: Json) -> bytes:
    """Return a document as JSON."""
    return orjson.dumps(content)


def _documented_path(operation: Operation) -> str:
    return _CONVERTOR.sub("}", operation.path)


def _operation(api: Api, operation: Operation) -> Json:
    path = _documented_path(operation)
    names = [part[1:-1] for part in path.split("/") if part.startswith("{")]
    in_path = [
        {"name": name, "in": "path", "required": True, "schema": api.path_parameters.get(name, TEXT)} for name in names
    ]
    common = () if operation.is_open else api.parameters
    rendered: Json = {
        "operationId": f"{operation.method}{path}".translate(_IN_AN_ID),
        "summary": operation.summary,
        "description": operation.description,
        "parameters": [*in_path, *operation.parameters, *common],
        "responses": _responses(api, operation),
    }
    if operation.tags:
        rendered["tags"] = list(operation.tags)
    if operation.is_open:
        rendered["security"] = []
    if operation.body is not None:
        content = _content(operation.body, operation.body_types)
        rendered["requestBody"] = {"required": operation.is_body_required, "content": content}
    return rendered


_IN_AN_ID = str.maketrans({"/": "_", "-": "_", "{": "", "}": ""})
# What only a body can be refused for.
_OF_A_BODY = (408, 413, 415)


def _responses(api: Api, operation: Operation) -> Json:
    success: Json = {"description": operation.success}
    if operation.answer is not None:
        success["content"] = _content(operation.answer, operation.answer_types)
    responses = {str(operation.status): success}
    problems = operation.problems or (Problems({}) if operation.is_open else api.problems)
    for status, description in problems.descriptions.items():
        if operation.body is not None or status not in _OF_A_BODY:
            content = _content(problems.schema, problems.media_types)
            responses[str(status)] = {"description": description, "content": content}
    for status, schema in operation.also.items():
        response = responses.setdefault(str(status), {"description": operation.success, "content": {}})
        beside = response["content"].get(JSON, {}).get("schema")
        response["content"] = _content({"anyOf": [beside, schema]} if beside else schema, (JSON,))
    return responses


def _content(schema: Schema, media_types: Iterable[str]) -> Json:
    schemas = {media_type: schema if media_type == JSON else _BINARY for media_type in media_types}
    return {media_type: {"schema": its} if schema != {} else {} for media_type, its in schemas.items()}


def _with_references(value: Any, models: dict[str, type[BaseModel]]) -> Any:
    """Return JSON with a reference in place of each model, which is added to `models`."""
    if isinstance(value, Mapping):
        return {name: _with_references(item, models) for name, item in value.items()}
    if isinstance(value, list):
        return [_with_references(item, models) for item in value]
    if isinstance(value, type):
        models[value.__name__] = value
        return {"$ref": f"#/components/schemas/{value.__name__}"}
    return value


def _components(models: Iterable[type[BaseModel]]) -> Json:
    _, generated = models_json_schema(
        [(model, "serialization") for model in models],
        ref_template="#/components/schemas/{model}",
        schema_generator=_Untitled,
    )
    components: Json = generated.get("$defs", {})
    return components


class _Untitled(GenerateJsonSchema):
    """Leaves out the titles of fields, which are their names once more."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False
