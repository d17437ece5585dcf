"""LiteLLM and LlamaIndex, the real ones: the examples, and each way to call them, in `make frameworks`' environment."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]
PYTHON = ROOT / "build" / "frameworks" / "bin" / "python"
SDK = ROOT / "producers" / "python"

if not PYTHON.exists():
    pytest.skip("LiteLLM and LlamaIndex are not installed. Run `make frameworks`.", allow_module_level=True)


def run(server: Any, *programs: Path) -> tuple[str, dict[str, dict[str, Any]]]:
    """Run programs one after the other in one process. Return what they print, and their logs by session."""
    code = "import runpy, sys\nfor path in sys.argv[1:]: runpy.run_path(path, run_name='__main__')"
    environment = {**os.environ, "PHOSPHO_BASE_URL": server.url, "PHOSPHO_API_KEY": "ph_test", "PYTHONPATH": str(SDK)}
    finished = subprocess.run(
        [PYTHON, "-c", code, *programs],
        env={**environment, "LITELLM_LOCAL_MODEL_COST_MAP": "True"},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    assert "phospho" not in finished.stderr
    return finished.stdout, {log["session_id"]: log for log in server.logs}


def test_litellm_example_and_every_way_to_call_it(server: Any) -> None:
    apps = Path(__file__).parent / "apps"

    printed, logs = run(server, SDK / "examples" / "12_litellm.py", apps / "litellm_calls.py")

    assert printed.startswith("It is sunny today!\n")
    example = logs.pop("conversation_123")
    assert (example["input"], example["user_id"]) == ("What is the weather in Paris?", "user_456")
    outputs = dict.fromkeys(["whole", "stream", "async", "async stream", "text"], "Hello!")
    outputs |= {"tool": 'This is a mock request\nweather({"city": "Paris"})', "error": None, "async error": None}
    assert {name: log["output"] for name, log in logs.items()} == outputs
    assert {log["input"] for log in logs.values()} == {"Say hello"}
    assert len(server.logs) == len(outputs) + 1
    assert "no" in logs["error"]["error"]
    assert "no" in logs["async error"]["error"]
    whole = logs["whole"]
    assert (whole["user_id"], whole["metadata"]) == ("ann", {"tenant": "north"})
    assert (whole["model"], whole["tokens_in"], whole["system_prompt"]) == ("gpt-4o-mini", 10, "Be brief.")
    assert whole["latency_ms"] > 0


def test_llama_index_example_and_every_way_to_call_it(server: Any) -> None:
    apps = Path(__file__).parent / "apps"

    printed, logs = run(server, SDK / "examples" / "13_llama_index.py", apps / "llama_index_calls.py")

    assert printed == "text text text\n"
    [example] = [log for log in logs.values() if log.get("user_id") == "user_456"]
    assert (example["input"], example["output"]) == ("How long does a refund take?", "text text text")
    del logs[example["session_id"]]
    models = ["chat", "complete", "stream chat", "async stream chat", "stream left early"]
    queries = ["query", "stream query", "engine", "stream engine", "async query", "async stream query"]
    inputs = dict.fromkeys(models, "Say hello") | dict.fromkeys([*queries, "error"], "How long?")
    assert {name: log["input"] for name, log in logs.items()} == inputs | {"agent": "Weather in Boston?"}
    assert len(server.logs) == len(logs) + 1
    outputs = {name: log["output"] for name, log in logs.items()}
    answered = dict.fromkeys(["chat", "complete", *queries], "text text")
    assert outputs.items() >= (answered | {"agent": "It is 20.", "error": None}).items()
    assert all("text" in outputs[name] for name in models)
    steps = {name: [step["kind"] for step in log.get("steps", ())] for name, log in logs.items()}
    assert all(steps[name] == ["retriever", "llm"] for name in queries)
    assert [step["name"] for step in logs["agent"]["steps"] if step["kind"] == "tool"] == ["weather"]
    assert "no" in logs["error"]["error"]
    assert {(log["user_id"], log["version_id"]) for log in logs.values()} == {("ann", "v1")}
    assert logs["chat"]["system_prompt"] == "Be brief."
