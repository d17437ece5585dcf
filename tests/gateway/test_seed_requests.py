"""The requests of the public documentation, as they stand there, against a real server."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from gateway.conftest import AppMaker, Serve
from gateway.recording import RecordingPublisher
from phospho_store.registry.registry import NewKey

CURL = """
curl -X POST BASE/api/v1/events \\
  -H "Authorization: Bearer ph_your_api_key" \\
  -H "Content-Type: application/json" \\
  -d '{
    "input": "User question here",
    "output": "AI response here",
    "session_id": "optional_session_id",
    "user_id": "optional_user_id",
    "metadata": {
      "model": "gpt-4",
      "tokens_in": 100,
      "tokens_out": 50,
      "latency_ms": 1200
    }
  }'
"""

FEEDBACK = """
curl -X POST BASE/api/v1/events/EVENT_ID/feedback \\
  -H "Authorization: Bearer ph_your_api_key" \\
  -H "Content-Type: application/json" \\
  -d '{"score": 1, "comment": "Great response!"}'
"""

PYTHON = """
import requests

response = requests.post(
    "BASE/api/v1/events",
    json={
        "input": "What is machine learning?",
        "output": "Machine learning is a branch of AI...",
    },
    headers={"Authorization": "Bearer ph_your_api_key"},
)
print(response.json())  # {"event_id": "...", "session_id": "..."}
"""


def _filled(text: str, url: str, key: NewKey) -> str:
    return text.replace("BASE", url).replace("ph_your_api_key", key.secret)


def _output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout


def test_the_curl_requests_work_as_they_stand(
    make_app: AppMaker, serve: Serve, api_key: NewKey, publisher: RecordingPublisher
) -> None:
    url = serve(make_app())

    receipt = json.loads(_output("sh", "-c", _filled(CURL, url, api_key)))
    feedback = _filled(FEEDBACK, url, api_key).replace("EVENT_ID", receipt["event_id"])
    feedback_receipt = json.loads(_output("sh", "-c", feedback))

    assert set(receipt) == {"event_id", "session_id", "created_at", "receipt_id"}
    assert receipt["session_id"] == "optional_session_id"
    assert feedback_receipt["event_id"] == receipt["event_id"]
    log, feedback = publisher.documents
    assert (log["input"], log["output"]) == ("User question here", "AI response here")
    assert log["metadata"] == {"model": "gpt-4", "tokens_in": 100, "tokens_out": 50, "latency_ms": 1200}
    assert (feedback["task_id"], feedback["score"]) == (receipt["event_id"], 1)


def test_the_python_request_works_as_it_stands(
    make_app: AppMaker, serve: Serve, api_key: NewKey, publisher: RecordingPublisher, tmp_path: Path
) -> None:
    script = tmp_path / "quick_start.py"
    script.write_text(_filled(PYTHON, serve(make_app()), api_key))

    printed = _output(sys.executable, str(script))

    assert "'event_id'" in printed
    assert "'session_id'" in printed
    assert publisher.documents[0]["input"] == "What is machine learning?"
