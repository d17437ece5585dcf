"""Clients in Python and TypeScript, generated from our documents, call every ingest and query endpoint."""

from __future__ import annotations

import importlib
import inspect
import json
import subprocess
import sys
import typing
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from fixtures.node import built_package, installed, json_lines
from fixtures.node import run as run_command
from fixtures.shapes import OneProcess

TYPESCRIPT_APP = Path(__file__).parent / "typescript"
# The generator writes `1and`, which its formatter would part.
pytestmark = pytest.mark.filterwarnings("ignore:invalid decimal literal")

PROJECT_ID = "generated"
SPAN = {
    "traceId": "0af7651916cd43dd8448eb211c80319c",
    "spanId": "b7ad6b7169203331",
    "name": "chat",
    "startTimeUnixNano": "1770000000000000000",
    "endTimeUnixNano": "1770000001000000000",
    "attributes": [{"key": "gen_ai.operation.name", "value": {"stringValue": "chat"}}],
}
TRACES = {"resourceSpans": [{"scopeSpans": [{"spans": [SPAN]}]}]}
TASK = {"input": "I want a refund", "output": "Sure.", "task_id": "t-1", "session_id": "s-1", "user_id": "ann"}
MESSAGES = [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Hi!"}]
DEFINITION = {"name": "refund", "description": "The user wants a refund", "engine": "keyword", "keywords": ["refund"]}

# What to send, by the operation's id. The ingest comes first.
BODIES: dict[str, Any] = {
    "post_definitions": {"definitions": [DEFINITION]},
    "post_api_v1_events": TASK,
    "post_api_v1_events_batch": {"events": [{"input": "Hello", "output": "Hi!", "task_id": "t-2"}]},
    "post_api_v1_events_event_id_feedback": {"flag": "success"},
    "post_v1_traces": TRACES,
    "post_v3_otl_project_id": TRACES,
    "post_v2_log_project_id": {"batched_log_events": [TASK | {"task_id": "t-3", "project_id": PROJECT_ID}]},
    "post_v3_log": {"project_id": PROJECT_ID, "batched_log_events": [{"messages": MESSAGES}]},
    "post_labels": {"labels": [{"task_id": "t-1", "event": "refund", "label": "confirmed"}]},
    "post_sql": {"query": "SELECT count() AS tasks FROM tasks"},
    "post_definitions_preview": {"definition": DEFINITION},
}
PATH_VALUES = {
    "event_id": "t-1",
    "task_id": "t-1",
    "session_id": "s-1",
    "project_id": PROJECT_ID,
    "name": "refund",
    "backfill_id": "unknown",
    "dead_letter_id": "unknown",
    "receipt_id": "unknown",
    "theme_id": "unknown",
    "alert_id": "unknown",
}
ITEMS = {
    "sessions": "s-1",
    "tasks": "t-1",
    "similar-tasks": "t-1",
    "users": "ann",
    "boards": "unknown",
    "event-stats": "refund",
    "themes": "1",
}
# None of these exists, and only an administrator sees people.
MISSING = {
    "get_backfills_backfill_id",
    "get_dead_letters_dead_letter_id",
    "get_api_v1_receipts_receipt_id",
    "get_themes_item_id",
    "get_boards_item_id",
    "get_alerts_alert_id",
    "get_task_logs_task_id",
    "get_people",
}
# Generated clients send JSON: the other form of OTLP is protobuf's.
EXPECTED_WARNING = "Unsupported content type application/x-protobuf"


@pytest.fixture(scope="module")
def server(up: OneProcess) -> OneProcess:
    return up.of_project(PROJECT_ID)


class GeneratedClient:
    """A client's package and the document that it was generated from."""

    def __init__(self, folder: Path, name: str, document: dict[str, Any], server: OneProcess) -> None:
        self.operations = {
            operation["operationId"]: (method, path, operation)
            for path, methods in document["paths"].items()
            for method, operation in methods.items()
        }
        source, config = folder / f"{name}.json", folder / "config.yaml"
        source.write_text(json.dumps(document))
        config.write_text("post_hooks: []\n")
        command = [sys.executable, "-m", "openapi_python_client", "generate", "--path", str(source), "--meta", "none"]
        command += ["--output-path", str(folder / name), "--config", str(config)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
        self.messages = done.stdout + done.stderr
        assert done.returncode == 0, self.messages
        package = importlib.import_module(name)
        self._name = name
        self._client = package.AuthenticatedClient(base_url=server.base_url, token=server.api_key)
        self._modules = {path.stem: path for path in (folder / name / "api").glob("*/*.py")}

    def call(self, operation_id: str, body: dict[str, Any] | None = None) -> Any:
        """Return the response of an operation, with *body* in place of that in BODIES."""
        _, path, operation = self.operations[operation_id]
        function = self._module(operation_id).sync_detailed
        values = path_values(path, operation).values()
        arguments: dict[str, Any] = {"client": self._client}
        if "requestBody" in operation:
            arguments["body"] = _model_of(function, body or BODIES[operation_id])
        return function(*values, **arguments)

    def close(self) -> None:
        self._client.get_httpx_client().close()

    def _module(self, operation_id: str) -> ModuleType:
        path = self._modules[operation_id]
        return importlib.import_module(f"{self._name}.api.{path.parent.name}.{path.stem}")


def path_values(path: str, operation: dict[str, Any]) -> dict[str, str]:
    """Return the values of the parameters in an operation's path, in their order."""
    names = [parameter["name"] for parameter in operation["parameters"] if parameter["in"] == "path"]
    return {name: ITEMS[path.split("/")[3]] if name == "item_id" else PATH_VALUES[name] for name in names}


def _model_of(function: Any, body: dict[str, Any]) -> Any:
    """Return a body as the model that a function takes."""
    annotation = typing.get_type_hints(function, vars(inspect.getmodule(function)))["body"]
    models = [annotation, *typing.get_args(annotation)]
    return next(model for model in models if hasattr(model, "from_dict")).from_dict(body)


@pytest.fixture(scope="module")
def documents(server: OneProcess) -> dict[str, dict[str, Any]]:
    """The documents of the gateway and of the API."""
    read = {}
    for name, path in (("gateway", "/openapi.json"), ("api", "/api/openapi.json")):
        with urllib.request.urlopen(server.base_url + path, timeout=20) as answer:
            read[name] = json.load(answer)
    return read


@pytest.fixture(scope="module")
def clients(
    server: OneProcess, documents: dict[str, dict[str, Any]], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list[GeneratedClient]]:
    """The clients of both documents."""
    folder = tmp_path_factory.mktemp("clients")
    sys.path.insert(0, str(folder))
    made = [GeneratedClient(folder, f"{name}_client", document, server) for name, document in documents.items()]
    yield made
    for client in made:
        client.close()
    sys.path.remove(str(folder))


def test_documents_generate_clients_that_lack_nothing(clients: list[GeneratedClient]) -> None:
    for client in clients:
        warnings = [line for line in client.messages.splitlines() if line.startswith(("WARNING", "ERROR"))]
        assert len(warnings) == client.messages.count(EXPECTED_WARNING), client.messages
        assert set(client.operations) <= set(client._modules)


def test_generated_clients_call_every_ingest_and_query_endpoint(clients: list[GeneratedClient]) -> None:
    by_id = {operation_id: client for client in clients for operation_id in client.operations}
    reads = [name for client in clients for name, (method, *_) in client.operations.items() if method == "get"]
    responses = {operation_id: by_id[operation_id].call(operation_id) for operation_id in [*BODIES, *reads]}

    failed = {name: response.content for name, response in responses.items() if response.status_code >= 300}
    unparsed = {name for name, response in responses.items() if response.parsed is None}
    assert set(failed) == MISSING, failed
    # Their answers have no schema.
    assert unparsed == {"post_sql", "get_metrics"}


def test_generated_client_loses_nothing_of_an_event(server: OneProcess, clients: list[GeneratedClient]) -> None:
    client = next(client for client in clients if "post_api_v1_events" in client.operations)
    event = TASK | {"task_id": "t-python", "output": {"choices": [{"message": {"content": "Sure."}}]}}

    response = client.call(
        "post_api_v1_events", event | {"metadata": {"client": "python", "tokens_in": 3}, "plan": "pro"}
    )

    assert response.status_code == 201
    columns = "input, output, session_id, user_id, metadata.client, metadata.plan, tokens_in"
    stored = server.sql(f"SELECT {columns} FROM tasks WHERE task_id = 't-python'")
    assert stored.split("\t") == ["I want a refund", "Sure.", "s-1", "ann", "python", "pro", "3\n"]


def test_bodies_are_those_of_the_documents(documents: dict[str, dict[str, Any]]) -> None:
    schemas = {
        operation["operationId"]: {**_json_schema(operation["requestBody"]), "components": document["components"]}
        for document in documents.values()
        for methods in document["paths"].values()
        for operation in methods.values()
        if operation.get("operationId") in BODIES
    }
    for operation_id, body in BODIES.items():
        validator = Draft202012Validator(schemas[operation_id])
        assert [error.message for error in validator.iter_errors(body)] == [], operation_id
        # The document says what is needed: an empty body of an ingest endpoint is none of its bodies.
        optional = ("post_v1_traces", "post_v3_otl_project_id", "post_api_v1_events_event_id_feedback")
        assert validator.is_valid({}) == (operation_id in optional), operation_id


def _json_schema(request_body: dict[str, Any]) -> dict[str, Any]:
    schema: dict[str, Any] = request_body["content"]["application/json"]["schema"]
    return schema


# npm may have to install the generator first.
@pytest.mark.timeout(400)
def test_typescript_clients_call_every_ingest_and_query_endpoint(
    server: OneProcess, documents: dict[str, dict[str, Any]]
) -> None:
    """The compiler checks that the bodies have the types of the documents."""
    folder = installed(TYPESCRIPT_APP)
    for name, document in documents.items():
        (folder / f"{name}.json").write_text(json.dumps(document))
    run_command(["node_modules/.bin/openapi-ts", "--file", "openapi-ts.config.mjs"], folder)
    (folder / "src" / "calls.ts").write_text(typescript_calls(documents))
    run_command([str(built_package() / "node_modules/typescript/bin/tsc"), "--project", "."], folder)
    environment = {"BASE_URL": server.base_url, "API_KEY": server.api_key}
    answers = json_lines(run_command(["node", "dist/calls.js"], folder, environment))

    statuses = {answer["id"]: answer["status"] for answer in answers}
    assert {name for name, status in statuses.items() if status >= 300} == MISSING, answers
    assert statuses.keys() >= BODIES.keys()
    assert all(answer["has_data"] for answer in answers if answer["status"] < 300)
    # What a client sent is what is stored: the body isn't lost on the way.
    stored = server.sql("SELECT input, output, metadata.client FROM tasks WHERE task_id = 't-1'")
    assert stored.split("\t") == ["I want a refund", "Sure.", "typescript\n"]


def typescript_calls(documents: dict[str, dict[str, Any]]) -> str:
    """Return a program that calls each operation and prints what became of it."""
    operations = {
        operation["operationId"]: (name, method, path, operation)
        for name, document in documents.items()
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }
    lines = [f'import * as {name} from "./{name}/index.js";' for name in documents]
    lines += [f'import {{ client as {name}Client }} from "./{name}/client.gen.js";' for name in documents]
    lines += [TYPESCRIPT_SETTINGS, *(f"{name}Client.setConfig(config);" for name in documents)]
    reads = [operation_id for operation_id, (_, method, *_) in operations.items() if method == "get"]
    for operation_id in [*BODIES, *reads]:
        name, _, path, operation = operations[operation_id]
        lines.append(typescript_call(name, operation_id, path_values(path, operation)))
    return "\n".join([*lines, ""])


TYPESCRIPT_SETTINGS = """
declare const process: { env: Record<string, string> };
declare const console: { log(line: string): void };
const config = { baseUrl: process.env["BASE_URL"] ?? "", auth: process.env["API_KEY"] ?? "" };
function report(id: string, result: { data?: unknown; error?: unknown; response?: Response }): void {
  const status = result.response?.status;
  console.log(JSON.stringify({ id, status, has_data: result.data !== undefined, error: result.error }));
}
"""


def typescript_call(client: str, operation_id: str, path: dict[str, str]) -> str:
    options: dict[str, Any] = {"path": path} if path else {}
    if operation_id in BODIES:
        options["body"] = BODIES[operation_id]
    if operation_id == "post_api_v1_events":
        options["body"] = options["body"] | {"metadata": {"client": "typescript"}}
    first, *words = operation_id.split("_")
    function = f"{client}.{first}{''.join(word.capitalize() for word in words)}"
    return f'report("{operation_id}", await {function}({json.dumps(options)}));'
