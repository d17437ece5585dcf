"""Real instrumentations of real clients: their runs become sessions with transcripts in a running `phospho up`."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from fixtures.phospho_process import clean_environment
from fixtures.providers import model_server
from fixtures.providers.model_server import MODES, ModelServer
from fixtures.shapes import OneProcess

from .openai_server import MODEL, TOKENS_IN, TOKENS_OUT, openai_server

APPS = Path(__file__).parent / "apps"
DOCS = (Path(__file__).parents[2] / "docs" / "opentelemetry.md").read_text("utf-8")
CALL = 'get_weather({"city": "Lisbon"})'

WAYS = ("whole", "stream", "helper")
PROVIDERS = {
    "OpenAI Chat Completions": WAYS,
    "OpenAI Responses": WAYS,
    "Azure OpenAI": WAYS,
    "Anthropic": WAYS,
    "Gemini": WAYS,
    "Ollama": ("whole", "stream"),
    "LangChain": WAYS,
}
Cell = tuple[str, str, str]
# What OpenLLMetry leaves out of its spans: docs/clients.md has the list. None: it writes no span for the call.
OMITTED: dict[Cell, dict[str, Any] | None] = {
    ("OpenAI Responses", "tool", "whole"): None,
    ("Gemini", "greet", "whole"): {"tokens_out": 1},
    ("Gemini", "greet", "stream"): {"tokens_out": 1, "output": "lo!"},
    ("Gemini", "greet", "helper"): {"tokens_out": 1, "output": "lo!"},
    **{("Gemini", "tool", way): {"tokens_out": 1} for way in WAYS},
    ("Gemini", "error", "stream"): None,
    ("Gemini", "error", "helper"): None,
    **{("Anthropic", mode, way): {"tokens_out": 3} for mode in ("greet", "tool") for way in ("stream", "helper")},
    ("Anthropic", "error", "helper"): {"input": ""},
    **{("Ollama", "tool", way): {"output": ""} for way in ("whole", "stream")},
}

Run = Callable[..., str]


@pytest.fixture(scope="module")
def shape(up: OneProcess) -> OneProcess:
    return up.of_project("otlp")


@pytest.fixture(scope="module")
def run(shape: OneProcess) -> Iterator[Run]:
    """Return a function that runs Python with the environment of the documentation, to its end."""
    with openai_server() as url:
        environment = clean_environment() | documented_environment(shape)
        environment |= {"OPENAI_BASE_URL": url, "OPENAI_API_KEY": "sk-none", "LANGSMITH_TRACING": "false"}

        def run_python(*arguments: str, **further: str) -> str:
            done = subprocess.run(
                [sys.executable, *arguments],
                env=environment | further,
                capture_output=True,
                text=True,
                timeout=110,
                check=False,
            )
            assert done.returncode == 0, done.stdout + done.stderr
            return done.stderr

        yield run_python


def documented_environment(shape: OneProcess) -> dict[str, str]:
    """Return the variables that the documentation's two lines set."""
    (lines,) = re.findall(r"^```bash\n(export OTEL_.*?)^```", DOCS, re.MULTILINE | re.DOTALL)
    printed = subprocess.run(
        ["bash", "-e", "-c", lines.replace("http://127.0.0.1:8420", shape.base_url) + "env -0"],
        env={"PHOSPHO_API_KEY": shape.api_key, "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        timeout=10,
        check=True,
    ).stdout
    variables = dict(line.split("=", 1) for line in printed.split("\0") if line)
    return {name: value for name, value in variables.items() if name.startswith("OTEL_")}


def tasks(shape: OneProcess, session_id: str) -> list[dict[str, Any]]:
    """Return the tasks of a session in their order, as SQL has them."""
    sql = f"SELECT * FROM tasks WHERE session_id = '{session_id}' ORDER BY created_at"
    return [json.loads(line) for line in shape.sql(sql, "JSONEachRow").splitlines()]


def page(shape: OneProcess, session_id: str) -> str:
    url, headers = f"{shape.base_url}/sessions/{quote(session_id)}", {"Authorization": f"Bearer {shape.api_key}"}
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=10) as answer:
        return str(answer.read().decode())


def told(rows: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(row["input"], row["output"]) for row in rows]


def metadata_of(row: Mapping[str, Any]) -> dict[str, Any]:
    value = row["metadata"]
    return dict(json.loads(value) if isinstance(value, str) else value)


@pytest.fixture(scope="module", params=["openinference", "openllmetry"])
def family(request: pytest.FixtureRequest, run: Run) -> str:
    """The name of a family of instrumentations, whose app with the OpenAI client has run."""
    errors = run(str(APPS / f"{request.param}_openai.py"))
    assert "Failed to export" not in errors
    return str(request.param)


def test_the_openai_client_becomes_sessions_with_transcripts(shape: OneProcess, family: str) -> None:
    sessions = {name: tasks(shape, f"{family} {name}") for name in ("plain", "streamed", "tools", "responses")}

    assert told(sessions["plain"]) == [("Hello", "You said: Hello"), ("And now?", "You said: And now?")]
    assert told(sessions["streamed"]) == [("In pieces", "You said: In pieces")]
    assert told(sessions["responses"]) == [("A response", "You said: A response")]
    (_, called), (_, answered) = told(sessions["tools"])
    assert (called, answered) == (CALL, "You said: 31 degrees")
    for row in [row for rows in sessions.values() for row in rows]:
        assert (row["model"], row["tokens_in"], row["tokens_out"]) == (MODEL, TOKENS_IN, TOKENS_OUT)
        assert (row["user_id"], row["version_id"], row["source"]) == ("ann", "2.1", "otlp")
        assert row["latency_ms"] > 0
    assert {row["system_prompt"] for row in sessions["plain"]} == {"Be brief"}
    assert [row["system_prompt"] for row in sessions["responses"]] == ["Be kind"]


def test_the_page_of_a_session_shows_what_was_said(shape: OneProcess, family: str) -> None:
    shown = page(shape, f"{family} plain")

    assert shown.index("You said: Hello") < shown.index("You said: And now?")


def test_a_call_that_failed_is_a_task_with_its_error(shape: OneProcess, family: str) -> None:
    (failed,) = tasks(shape, f"{family} failing")

    assert (failed["input"], failed["output"]) == ("fail", "")
    error = metadata_of(failed)["error"]
    assert "this fails" in error["message"]
    assert "BadRequestError" in error["type"]


def test_an_embedding_is_no_task(shape: OneProcess, family: str) -> None:
    assert tasks(shape, f"{family} embeddings") == []


@pytest.fixture(scope="module")
def provider_urls() -> Iterator[dict[str, str]]:
    """Return the variables that name a server for each mode of the providers."""
    with contextlib.ExitStack() as stack:
        servers = {mode: stack.enter_context(contextlib.closing(ModelServer(mode))) for mode in MODES}
        yield {f"{mode.upper()}_URL": server.url for mode, server in servers.items()}


@pytest.mark.parametrize("family", ["openinference", "openllmetry"])
def test_every_way_of_each_provider_is_the_same_task(
    shape: OneProcess, run: Run, provider_urls: dict[str, str], family: str
) -> None:
    run(str(APPS / "provider_calls.py"), family, **provider_urls)

    sql = f"SELECT * FROM tasks WHERE startsWith(session_id, '{family} ') AND user_id = 'matrix'"
    rows = [json.loads(line) for line in shape.sql(sql, "JSONEachRow").splitlines()]
    calls = {row["session_id"].removeprefix(f"{family} "): shown(row) for row in rows}
    assert len(calls) == len(rows)
    cells = [(name, mode, way) for name, ways in PROVIDERS.items() for mode in MODES for way in ways]
    expected = {" ".join(cell): task for cell in cells if (task := task_of_cell(family, cell)) is not None}
    assert calls == expected


def shown(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a task that are the same in each way. A call that failed may name no model."""
    if "error" in metadata_of(row):
        return {"input": row["input"], "output": row["output"], "has_error": True}
    return {name: row[name] for name in ("input", "output", "model", "tokens_in", "tokens_out")}


def task_of_cell(family: str, cell: Cell) -> dict[str, Any] | None:
    _, mode, _ = cell
    omitted = OMITTED.get(cell, {}) if family == "openllmetry" else {}
    if omitted is None:
        return None
    task: dict[str, Any] = {"input": "Say hello", "output": model_server.TEXTS.get(mode, "")}
    if mode == "error":
        return task | {"has_error": True} | omitted
    counts = {"tokens_in": model_server.TOKENS_IN, "tokens_out": model_server.TOKENS_OUT}
    return task | {"model": model_server.MODEL} | counts | omitted


def test_a_langchain_agent_becomes_a_session_whose_tasks_have_their_steps(shape: OneProcess, run: Run) -> None:
    run(str(APPS / "langchain_agent.py"))

    asked, answered = tasks(shape, "langchain agent")
    assert (asked["input"], asked["output"].partition("(")[0]) == (
        "Is it warm in Lisbon?",
        "get_weather",
    )
    assert answered["output"] == "You said: 31 degrees in Lisbon"
    assert [row["tokens_in"] for row in (asked, answered)] == [TOKENS_IN, TOKENS_IN]
    steps = metadata_of(answered)["steps"]
    tool = next(step for step in steps if step.get("kind") == "tool")
    assert (tool["name"], tool["output"]) == ("get_weather", "31 degrees in Lisbon")
    assert [step["name"] for step in steps] == ["agent", "get_weather"]
    assert "31 degrees in Lisbon" in page(shape, "langchain agent")


def test_steps_of_other_exports_join_their_task_when_it_is_read(shape: OneProcess, run: Run) -> None:
    """A processor that exports each span by itself sends a tool before, and an agent after, the call of the model."""
    script = """
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter()))
tracer = provider.get_tracer("agent")
with tracer.start_as_current_span("agent") as agent:
    agent.set_attributes({"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "helper"})
    with tracer.start_as_current_span("tool") as tool:
        tool.set_attributes({"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "get_weather"})
        tool.set_attributes({"gen_ai.tool.call.arguments": "Lisbon", "gen_ai.tool.call.result": "31 degrees"})
    with tracer.start_as_current_span("chat") as chat:
        chat.set_attributes({"gen_ai.operation.name": "chat", "session.id": "in pieces", "gen_ai.prompt": "Warm?"})
provider.shutdown()
"""
    run("-c", script)

    (task,) = tasks(shape, "in pieces")
    url, headers = f"{shape.base_url}/api/v1/tasks/{task['task_id']}", {"Authorization": f"Bearer {shape.api_key}"}
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=10) as answer:
        steps = json.load(answer)["task"]["metadata"]["steps"]
    assert [(step["name"], step["kind"]) for step in steps] == [("helper", "agent"), ("get_weather", "tool")]
    assert (steps[1]["input"], steps[1]["output"]) == ("Lisbon", "31 degrees")
    assert steps[1]["parent_span_id"] == steps[0]["span_id"]


def test_the_documented_example_runs_as_it_stands(shape: OneProcess, run: Run) -> None:
    (example,) = re.findall(r"^```python\n(.*?)^```", DOCS, re.MULTILINE | re.DOTALL)

    run("-c", example)

    (row,) = tasks(shape, "conversation-1")
    assert row["input"] == "I need a flight to Lisbon on Friday"
    assert row["user_id"] == "user-1"
    (sql,) = re.findall(r'^phospho query "(.*)"$', DOCS, re.MULTILINE)
    assert "ChatCompletion" in shape.phospho("query", sql)


def test_an_export_again_changes_nothing_whatever_compresses_it(shape: OneProcess, run: Run) -> None:
    """A client repeats an export when it has lost the answer."""
    script = """
import os
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
for compression in ("none", "gzip", "deflate"):
    os.environ["OTEL_EXPORTER_OTLP_COMPRESSION"] = compression
    kept = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(kept))
    with provider.get_tracer("again").start_as_current_span("chat") as span:
        span.set_attributes({"gen_ai.operation.name": "chat", "session.id": "repeated " + compression})
        span.set_attribute("gen_ai.usage.input_tokens", 5)
    for _ in range(3):
        assert OTLPSpanExporter().export(kept.get_finished_spans()) is SpanExportResult.SUCCESS
"""
    run("-c", script)

    sql = "SELECT session_id, count(), sum(tokens_in) FROM tasks WHERE startsWith(session_id, 'repeated') GROUP BY 1"
    assert sorted(shape.sql(sql).splitlines()) == [
        f"repeated {compression}\t1\t5" for compression in ("deflate", "gzip", "none")
    ]
