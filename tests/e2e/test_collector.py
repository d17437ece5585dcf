"""A real OpenTelemetry Collector between an app and `phospho up`, with the configuration of the documentation."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fixtures.phospho_process import clean_environment
from fixtures.server_process import free_port
from fixtures.shapes import OneProcess

# Go takes minutes to compile the Collector where nothing is cached.
pytestmark = [pytest.mark.chaos, pytest.mark.timeout(900)]

SOURCE = Path(__file__).parent / "collector"
PROGRAM = Path(__file__).parents[2] / "build" / "otelcol"
DOCS = (Path(__file__).parents[2] / "docs" / "opentelemetry.md").read_text("utf-8")

# Each span ends and is exported by itself: the tool before, and the agent after, the call of the model.
APP = """
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter()))
tracer = provider.get_tracer("agent")
for number in range(20):
    with tracer.start_as_current_span("agent") as agent:
        agent.set_attributes({"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "helper"})
        with tracer.start_as_current_span("tool") as tool:
            tool.set_attributes({"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "get_weather"})
        with tracer.start_as_current_span("chat") as chat:
            chat.set_attributes({"gen_ai.operation.name": "chat", "session.id": f"collected {number}"})
            chat.set_attributes({"gen_ai.prompt": "Warm?", "gen_ai.completion": "Yes"})
provider.shutdown()
"""


@pytest.fixture(scope="module")
def shape(up: OneProcess) -> OneProcess:
    return up.of_project("collected")


@pytest.fixture(scope="module")
def collector_url(shape: OneProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run the Collector, and yield where it takes OTLP."""
    if shutil.which("go") is None:
        pytest.skip("Go is not installed: the Collector is built from its source.")
    build = ["go", "build", "-trimpath", "-ldflags=-s -w", "-o", str(PROGRAM), "."]
    subprocess.run(build, cwd=SOURCE, check=True, timeout=800)
    folder, port = tmp_path_factory.mktemp("collector"), free_port()
    (documented,) = re.findall(r"^```yaml\n(receivers:.*?)^```", DOCS, re.MULTILINE | re.DOTALL)
    config = documented.replace("127.0.0.1:4318", f"127.0.0.1:{port}").replace("http://127.0.0.1:8420", shape.base_url)
    # Its own metrics would take a port that may be in use.
    config = config.replace("10s", "2s").replace("service:\n", "service:\n  telemetry: {metrics: {level: none}}\n")
    (folder / "config.yaml").write_text(config)
    environment = clean_environment() | {"PHOSPHO_API_KEY": shape.api_key}
    with (folder / "log").open("wb") as log:
        command = [str(PROGRAM), "--config", str(folder / "config.yaml")]
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        try:
            wait_until_it_answers(f"http://127.0.0.1:{port}/v1/traces", process, folder / "log")
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(30)


def wait_until_it_answers(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    request = urllib.request.Request(url, b"{}", {"Content-Type": "application/json"})
    for _ in range(300):
        assert process.poll() is None, log.read_text()
        try:
            urllib.request.urlopen(request, timeout=5).close()
        except urllib.error.URLError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError(log.read_text())


def tasks(shape: OneProcess) -> list[dict[str, Any]]:
    return [json.loads(line) for line in shape.sql("SELECT * FROM tasks", "JSONEachRow").splitlines()]


def test_collector_brings_the_spans_of_a_trace_together(shape: OneProcess, collector_url: str) -> None:
    environment = clean_environment() | {"OTEL_EXPORTER_OTLP_ENDPOINT": collector_url}
    subprocess.run([sys.executable, "-c", APP], env=environment, check=True, timeout=60)

    for _ in range(300):
        if len(tasks(shape)) == 20:
            break
        time.sleep(0.1)
    rows = tasks(shape)
    assert sorted(row["session_id"] for row in rows) == sorted(f"collected {number}" for number in range(20))
    for row in rows:
        assert (row["input"], row["output"], row["source"]) == ("Warm?", "Yes", "otlp")
        assert [step["kind"] for step in row["metadata"]["steps"]] == ["agent", "tool"]
