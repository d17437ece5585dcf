"""`/openapi.json`, and `/docs`: that document as one page without scripts, which needs no network."""

from __future__ import annotations

import base64
import hashlib
import html
from functools import cache

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from phospho_gateway.health import HealthApi
from phospho_gateway.intake.events_api import EventsApi
from phospho_gateway.legacy.flat_update_api import FlatUpdateApi
from phospho_gateway.legacy.log_api import LogApi
from phospho_gateway.legacy.messages_api import MessagesApi
from phospho_gateway.legacy.project_api import ProjectApi
from phospho_gateway.legacy.session_api import SessionApi
from phospho_gateway.legacy.task_api import TaskApi
from phospho_gateway.otlp.traces_api import TracesApi
from phospho_gateway.receipts.receipts_api import ReceiptsApi
from phospho_schemas.ids import PROJECT_ID_PATTERN
from phospho_web import openapi
from phospho_web.openapi import TEXT, Api, Json, Problems, encoded, header_parameter

_API = Api(
    title="phospho",
    description="Log what goes into your LLM app and what comes out. A success is answered when the data is durable. "
    "Errors have one shape: code, message, hint. A request with task_id or Idempotency-Key can be sent again safely.",
    problems=Problems(
        {
            400: "The body is not JSON, or is damaged.",
            401: "The API key is missing, unknown or revoked.",
            403: "The API key belongs to another project.",
            404: "There is nothing at this path.",
            408: "The body did not arrive in time.",
            413: "The body, the batch or the event is too large.",
            415: "The Content-Encoding is not gzip, deflate or zstd.",
            422: "The content is not valid; the message says which field and why.",
            429: "The key made too many requests, or its project has logged what it may in a day; Retry-After says "
            "when.",
            503: "Nothing was confirmed: send the same request again after the time in Retry-After.",
        }
    ),
    parameters=(header_parameter("X-Phospho-Project", "The project, for an administrator's key."),),
    path_parameters={
        "project_id": TEXT | {"pattern": f"^{PROJECT_ID_PATTERN}$"},
        "receipt_id": TEXT | {"maxLength": 512},
        "event_id": TEXT | {"maxLength": 512},
        "session_id": TEXT | {"minLength": 1, "maxLength": 512},
        "task_id": TEXT | {"minLength": 1, "maxLength": 512},
    },
)


def document() -> Json:
    """Return the document."""
    tasks = (LogApi, TaskApi, SessionApi, ProjectApi, FlatUpdateApi, MessagesApi)
    apis = (EventsApi, ReceiptsApi, *tasks, HealthApi, TracesApi)
    return openapi.document(_API, (operation for api in apis for operation in api.operations()))


_STYLE = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 56rem; margin: 2rem auto; padding: 0 1rem; }
h2 { font-size: 1.1rem; margin-top: 2.5rem; border-top: 1px solid #8886; padding-top: 1rem; }
code, pre { font: 0.875rem/1.5 ui-monospace, monospace; }
pre { overflow-x: auto; padding: 0.75rem; background: #8882; border-radius: 6px; }
table { border-collapse: collapse; width: 100%; margin: 0.5rem 0; }
th, td { text-align: left; vertical-align: top; padding: 0.3rem 1rem 0.3rem 0; border-bottom: 1px solid #8883; }
.method { display: inline-block; min-width: 3.5rem; font-weight: 600; }
"""
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_PAGE_HEADERS = {
    "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


def docs_routes() -> list[Route]:
    """Return the routes of the page and of the document; their first request makes each."""

    async def openapi_json(request: Request) -> Response:
        return Response(_encoded_document(), media_type="application/json")

    async def docs(request: Request) -> Response:
        return Response(_rendered_document(), headers=_PAGE_HEADERS, media_type="text/html")

    return [Route("/openapi.json", openapi_json), Route("/docs", docs)]


@cache
def _encoded_document() -> bytes:
    return encoded(document())


@cache
def _rendered_document() -> str:
    return page(document())


def page(content: Json) -> str:
    """Return an OpenAPI document as HTML."""
    operations = [
        _operation(content, path, method, operation)
        for path, methods in content["paths"].items()
        for method, operation in methods.items()
    ]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{_text(content['info']['title'])} API</title><style>{_STYLE}</style></head><body>"
        f"<h1>{_text(content['info']['title'])} API</h1><p>{_text(content['info']['description'])}</p>"
        "<p>Send your key in the header <code>Authorization: Bearer ph_...</code>. "
        'For programs: <a href="/openapi.json">openapi.json</a>.</p>'
        f"{''.join(operations)}</body></html>"
    )


def _operation(content: Json, path: str, method: str, operation: Json) -> str:
    parts = [
        f'<h2 id="{_text(method + path)}"><code><span class="method">{method.upper()}</span>{_text(path)}</code></h2>',
        f"<p><strong>{_text(operation['summary'])}.</strong> {_text(operation.get('description', ''))}</p>",
        _table("Parameter", [_parameter(parameter) for parameter in operation.get("parameters", [])]),
    ]
    if "requestBody" in operation:
        schema = operation["requestBody"]["content"]["application/json"]["schema"]
        parts.append(_table("Body", _properties(content, schema)))
    answers = [(status, "", answer["description"]) for status, answer in operation["responses"].items()]
    return "".join([*parts, _table("Answer", answers)])


def _parameter(parameter: Json) -> tuple[str, str, str]:
    needed = ", required" if parameter.get("required") else ""
    return parameter["name"], parameter["in"] + needed, parameter.get("description", "")


def _properties(content: Json, schema: Json) -> list[tuple[str, str, str]]:
    """Return name, type and meaning of the fields of a schema, those of a list's items included."""
    resolved = _resolved(content, schema)
    required = {*resolved.get("required", []), *schema.get("required", [])}
    rows = []
    for name, field in resolved.get("properties", {}).items():
        needed = ", required" if name in required else ""
        rows.append((name, _type(field) + needed, field.get("description", "")))
        if "items" in field:
            inner = _properties(content, field["items"])
            rows += [(f"{name}[].{field_name}", kind, meaning) for field_name, kind, meaning in inner]
    return rows


def _resolved(content: Json, schema: Json) -> Json:
    if "$ref" not in schema:
        return schema
    named: Json = content["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return named


def _type(field: Json) -> str:
    if "anyOf" in field:
        return " or ".join(_type(choice) for choice in field["anyOf"])
    if "$ref" in field:
        return "object"
    return str(field.get("type", "anything"))


def _table(title: str, rows: list[tuple[str, str, str]]) -> str:
    if not rows:
        return ""
    lines = [
        f"<tr><td><code>{_text(name)}</code></td><td>{_text(kind)}</td><td>{_text(meaning)}</td></tr>"
        for name, kind, meaning in rows
    ]
    return f"<table><tr><th>{title}</th><th></th><th></th></tr>{''.join(lines)}</table>"


def _text(value: str) -> str:
    return html.escape(value)
