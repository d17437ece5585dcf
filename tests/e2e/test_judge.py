"""`phospho up` with an LLM: tasks are judged once, and the usage is shown."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from fixtures.providers.llm_server import LlmServer, llm_server
from fixtures.shapes import OneProcess
from fixtures.waiting import wait_until

DEFINITIONS = """
definitions:
  - {name: angry, description: The user is angry, engine: llm, scope: input}
"""
# Today: older tasks are left to backfills.
LOGGED_AT = datetime.now(UTC).isoformat()
SECRET = "sk-not-to-be-seen"


def log(shape: OneProcess, folder: Path, **inputs: str) -> None:
    defaults = {"output": "Sorry", "created_at": LOGGED_AT}
    lines = [json.dumps({"task_id": name, "input": text} | defaults) for name, text in inputs.items()]
    (folder / "logs.jsonl").write_text("\n".join(lines))
    shape.phospho("import", str(folder / "logs.jsonl"))


def wait_for_events(shape: OneProcess, number: int) -> None:
    sql = "SELECT count() FROM events WHERE judge = 'llm'"
    wait_until(lambda: shape.number(sql) >= number, "no judgement came", poll_interval_s=0.2)


def environment(llm: LlmServer) -> dict[str, str]:
    variables = {"PHOSPHO_LLM_BASE_URL": llm.base_url, "PHOSPHO_LLM_MODEL": "model-1", "PHOSPHO_LLM_API_KEY": SECRET}
    return variables | {"PHOSPHO_LLM_USD_PER_MILLION_TOKENS_IN": "1"}


@pytest.mark.timeout(240)
def test_tasks_are_judged_once_over_a_restart_and_a_second_import(tmp_path: Path) -> None:
    with llm_server(lambda _, said: {"answer": "yes" if "!" in said["user"] else "no"}) as llm:
        with OneProcess(tmp_path, environment(llm)) as shape:
            (tmp_path / "definitions.yaml").write_text(DEFINITIONS)
            shape.phospho("definitions", "apply", str(tmp_path / "definitions.yaml"))
            log(shape, tmp_path, one="Again!", two="Thank you")
            wait_for_events(shape, 1)
            events = shape.rows("events")
            shape.process.stop()
        with OneProcess(tmp_path, environment(llm)) as shape:
            log(shape, tmp_path, one="Again!", two="Thank you", three="Enough!")
            wait_for_events(shape, 2)

            assert set(events) < set(shape.rows("events"))
            asked = sorted(json.loads(body["messages"][1]["content"])["interaction"]["user"] for body in llm.asked)
            assert asked == ["Again!", "Enough!", "Thank you"]
            assert "model-1\t3\t3" in shape.phospho("llm", "usage")
            written = (tmp_path / "up.log").read_text()
    judge = "model-1 at 127.0.0.1 judges uncertain events of the last day's tasks, for at most 1,000,000 tokens a day"
    assert judge in written
    assert SECRET not in written
    assert "Again!" not in written
