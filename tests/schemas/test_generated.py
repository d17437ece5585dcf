"""The generated documents are what the models say, and are valid by themselves."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from jsonschema import Draft7Validator, Draft202012Validator

from phospho_cli.commands.operations.schemas import schemas
from phospho_schemas import messages
from phospho_schemas.descriptions import FIELDS
from phospho_schemas.generate import ASYNCAPI_FILE, FLOWS, REGISTRY_ROWS, SCHEMA_FOLDER, asyncapi, generated_files
from phospho_schemas.kafka import KafkaSettings
from phospho_schemas.topics import TOPICS
from phospho_store.clickhouse import ClickHouseSettings
from phospho_workers.detection.app import build as build_detection
from phospho_workers.extraction.app import build as build_extraction
from phospho_workers.runtime.settings import WorkerSettings
from phospho_workers.sink.app import build as build_sink

REPOSITORY = Path(__file__).parents[2]
FILES = generated_files()
SCHEMAS = {name: json.loads(text) for name, text in FILES.items() if name.startswith(SCHEMA_FOLDER)}
DOCUMENT = asyncapi()


def walk(node: Any) -> Iterator[Any]:
    """Yield every value of a JSON document, the document first."""
    yield node
    children = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    for child in children:
        yield from walk(child)


def resolved(document: Any, reference: str) -> Any:
    """Return what a reference within a document points to. Raises KeyError where there is nothing."""
    for part in reference.removeprefix("#/").split("/"):
        document = document[part]
    return document


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_what_the_models_say(name: str) -> None:
    assert (REPOSITORY / name).read_text("utf-8") == FILES[name], "run `phospho schemas` in the root of the repository"


def test_there_is_no_file_but_those() -> None:
    assert {f"{SCHEMA_FOLDER}/{path.name}" for path in (REPOSITORY / SCHEMA_FOLDER).iterdir()} == set(SCHEMAS)


def test_each_topic_and_each_row_of_the_registry_has_a_schema() -> None:
    names = [topic.name for topic in TOPICS] + list(REGISTRY_ROWS)
    assert set(SCHEMAS) == {f"{SCHEMA_FOLDER}/{name}.v1.json" for name in names}


@pytest.mark.parametrize("schema", SCHEMAS.values(), ids=SCHEMAS)
def test_a_schema_is_valid_and_keeps_unknown_fields(schema: dict[str, Any]) -> None:
    Draft202012Validator.check_schema(schema)
    assert schema["title"]
    for definition in schema["$defs"].values():
        assert definition["additionalProperties"] is True
        assert definition["title"]
        assert definition["description"]
        assert all(field["description"] for field in definition["properties"].values())


def test_every_description_is_of_a_field_that_there_is() -> None:
    fields = {name for schema in SCHEMAS.values() for d in schema["$defs"].values() for name in d["properties"]}
    assert set(FIELDS) == fields


def test_every_message_of_the_contract_is_in_a_topic_or_the_registry() -> None:
    written = {model for flow in FLOWS for model in flow.models} | set(REGISTRY_ROWS.values())
    assert written == set(messages.Message.__subclasses__())


def test_feedback_is_told_from_a_log_by_its_kind() -> None:
    validator = Draft202012Validator(SCHEMAS[f"{SCHEMA_FOLDER}/phospho.raw-logs.v1.json"])
    feedback = {"project_id": "shop", "task_id": "t", "score": 1}
    assert validator.is_valid(feedback | {"kind": "feedback"})
    assert not validator.is_valid(feedback)
    assert validator.is_valid(feedback | {"input": "a log, and its score is metadata"})


def test_asyncapi_has_what_version_3_requires() -> None:
    assert DOCUMENT["asyncapi"] == "3.0.0"
    assert {"title", "version"} <= set(DOCUMENT["info"])
    for operation in DOCUMENT["operations"].values():
        assert operation["action"] in {"send", "receive"}
        channel = operation["channel"]["$ref"]
        assert channel.startswith("#/channels/")
        # The messages of an operation are referred to through its channel, and are a subset of the channel's.
        assert all(message["$ref"].startswith(channel + "/messages/") for message in operation["messages"])


def test_every_reference_of_asyncapi_leads_somewhere() -> None:
    references = [node["$ref"] for node in walk(DOCUMENT) if isinstance(node, dict) and "$ref" in node]
    assert references
    for reference in references:
        assert resolved(DOCUMENT, reference)


def test_the_payloads_of_asyncapi_are_valid_in_its_own_dialect() -> None:
    """AsyncAPI's schemas are a superset of JSON Schema draft 7."""
    for schema in DOCUMENT["components"]["schemas"].values():
        Draft7Validator.check_schema(schema)
    for message in DOCUMENT["components"]["messages"].values():
        assert resolved(DOCUMENT, message["payload"]["$ref"])["type"] == "object"
        assert message["bindings"]["kafka"]["key"]["description"]


def test_asyncapi_has_every_topic_as_it_is_created() -> None:
    assert list(DOCUMENT["channels"]) == [topic.name for topic in TOPICS]
    for topic in TOPICS:
        channel = DOCUMENT["channels"][topic.name]
        binding = channel["bindings"]["kafka"]
        assert (channel["address"], binding["partitions"]) == (topic.name, topic.partitions)
        said = dict(binding["topicConfiguration"])
        said["cleanup.policy"] = ",".join(said["cleanup.policy"])
        created = topic.config()
        assert {name: str(value) for name, value in said.items()} == {name: created[name] for name in said}


@pytest.mark.parametrize(
    ("worker", "build"),
    [("extraction", build_extraction), ("detection", build_detection), ("sink", build_sink)],
)
def test_asyncapi_says_of_a_worker_what_its_own_app_subscribes_to(worker: str, build: Any) -> None:
    app = build(WorkerSettings(kafka=KafkaSettings("127.0.0.1:1"), clickhouse=ClickHouseSettings("http://127.0.0.1:1")))
    own = json.loads(app.asgi.schema.to_specification().to_json())
    subscribed = {c["address"] for c in own["channels"].values() if not c["address"].startswith("/")}
    reads = {name: o for name, o in DOCUMENT["operations"].items() if name.startswith(f"{worker}-reads-")}
    assert {name.removeprefix(f"{worker}-reads-") for name in reads} == subscribed
    assert app.asgi.broker is not None
    [subscriber] = app.asgi.broker.subscribers
    assert {o["bindings"]["kafka"]["groupId"]["const"] for o in reads.values()} == {subscriber.group_id}


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    shutil.copytree(REPOSITORY / SCHEMA_FOLDER, tmp_path / SCHEMA_FOLDER)
    (tmp_path / "docs").mkdir()
    shutil.copy(REPOSITORY / ASYNCAPI_FILE, tmp_path / ASYNCAPI_FILE)
    return tmp_path


def test_the_command_checks_and_mends(repository: Path) -> None:
    changed = repository / SCHEMA_FOLDER / "phospho.tasks.v1.json"
    left_over = repository / SCHEMA_FOLDER / "phospho.gone.v1.json"
    changed.write_text("{}")
    left_over.write_text("{}")
    (repository / ASYNCAPI_FILE).unlink()
    run = CliRunner().invoke
    check = run(schemas, ["--check", "--root", str(repository)])
    assert check.exit_code == 1
    assert all(name in check.output for name in ("phospho.tasks.v1", "phospho.gone.v1", ASYNCAPI_FILE))
    assert changed.read_text() == "{}"
    assert run(schemas, ["--root", str(repository)]).exit_code == 0
    assert run(schemas, ["--check", "--root", str(repository)]).exit_code == 0
    assert not left_over.exists()
    assert changed.read_text("utf-8") == FILES[f"{SCHEMA_FOLDER}/phospho.tasks.v1.json"]


def test_the_command_writes_nothing_where_there_is_no_repository(tmp_path: Path) -> None:
    assert CliRunner().invoke(schemas, ["--root", str(tmp_path)]).exit_code == 2
    assert list(tmp_path.iterdir()) == []
