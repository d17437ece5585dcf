"""
The Python SDK on the examples of all SDKs: the same input gives the same bytes.

`sdk_examples.json` is read by the JavaScript SDK's tests too (producers/javascript/test/contract.test.mjs).
"""

from __future__ import annotations

import gzip
import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest

import phospho
from phospho._default.state import STATE

DOCUMENT = json.loads((Path(__file__).parent / "sdk_examples.json").read_text(encoding="utf-8"))
EXAMPLES: list[dict[str, Any]] = DOCUMENT["examples"]


class Posted(NamedTuple):
    path: str
    body: str


class Recorder:
    """Accepts every request, and records its path and its uncompressed bytes."""

    def __init__(self) -> None:
        self.posted: list[Posted] = []
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self.posted))
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join(5)


def _handler(posted: list[Posted]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            posted.append(Posted(self.path, body.decode("utf-8")))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b'{"results":[{"status":"accepted"}]}')

        def log_message(self, format: str, *args: Any) -> None:
            pass

    return Handler


@pytest.fixture(scope="module")
def recorder() -> Iterator[Recorder]:
    recorder = Recorder()
    yield recorder
    recorder.close()


def do(client: phospho.Client, example: dict[str, Any]) -> None:
    """Make the calls of the example."""
    if "feedback" in example:
        client.feedback(**example["feedback"])
    elif "user_feedback" in example:
        phospho.user_feedback(**example["user_feedback"])
    elif "chunks" in example:
        stream = phospho.MutableGenerator(iter(example["chunks"]))
        client.log(output=stream, stream=True, **example["log"])
        for _ in stream:
            pass
    else:
        client.log(**example["log"], **functions(example))
        if "again" in example:
            client.log(**example["again"])


def without_made_ids(posted: Posted, made_ids: list[str]) -> Posted:
    """Return *posted* with the ids that the SDK made replaced by their names."""
    body = posted.body
    for name in made_ids:
        body = re.sub(rf'"{name}":"[0-9a-f-]{{36}}"', f'"{name}":"<{name}>"', body)
    return posted._replace(body=body)


def functions(example: dict[str, Any]) -> dict[str, Any]:
    sides = {"input": example.get("input_text_of"), "output": example.get("output_text_of")}
    return {
        f"{side}_to_str_function": lambda value, field=field: value[field] for side, field in sides.items() if field
    }


@pytest.mark.parametrize("example", EXAMPLES, ids=[example["name"] for example in EXAMPLES])
def test_example_is_sent_byte_for_byte(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch, example: dict[str, Any]
) -> None:
    monkeypatch.setattr("phospho._content.task_content.time", SimpleNamespace(time=lambda: DOCUMENT["now"]))
    phospho.init(api_key="ph_test", base_url=recorder.url, tick=60, **example.get("client", {}))
    client = STATE.client
    assert client is not None
    recorder.posted.clear()

    do(client, example)

    assert client.flush().is_complete
    assert client.stats().errors == {}
    posted = [without_made_ids(each, example.get("made_ids", [])) for each in recorder.posted]
    assert posted == [Posted(example["path"], example["body"])]
    client.close()


def test_example_names_are_unique() -> None:
    names = [example["name"] for example in EXAMPLES]

    assert len(set(names)) == len(names) >= 45
