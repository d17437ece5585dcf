"""As much of OpenAI's API as its clients need: chat completions (streamed, with tools), responses, embeddings."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from fixtures.loopback import serving

MODEL = "gpt-4o-mini-2024-07-18"
_HEAD = {"created": 1_700_000_000, "model": MODEL}
TOKENS_IN, TOKENS_OUT = 12, 4
_USAGE = {"prompt_tokens": TOKENS_IN, "completion_tokens": TOKENS_OUT, "total_tokens": TOKENS_IN + TOKENS_OUT}


@contextmanager
def openai_server() -> Iterator[str]:
    """Yield the base URL of a server on loopback that says back what it is told."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    with serving(server):
        yield f"http://127.0.0.1:{server.server_address[1]}/v1"


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        call = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path.endswith("/responses"):
            self._say(200, "application/json", json.dumps(_response(call)))
        elif self.path.endswith("/embeddings"):
            self._say(200, "application/json", json.dumps(_embedding()))
        elif _last_text(call) == "fail":
            error = {"message": "this fails", "type": "invalid_request_error", "code": "bad"}
            self._say(400, "application/json", json.dumps({"error": error}))
        elif call.get("stream"):
            chunks = [f"data: {json.dumps(chunk)}\n\n" for chunk in _chunks(call)]
            self._say(200, "text/event-stream", "".join(chunks) + "data: [DONE]\n\n")
        else:
            self._say(200, "application/json", json.dumps(_completion(call)))

    def _say(self, status: int, content_type: str, text: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, format: str, *args: Any) -> None:
        pass


def _last_text(call: dict[str, Any]) -> str:
    return str(call["messages"][-1]["content"])


def _completion(call: dict[str, Any]) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": f"You said: {_last_text(call)}"}
    if call.get("tools") and call["messages"][-1]["role"] != "tool":
        function = {"name": "get_weather", "arguments": '{"city": "Lisbon"}'}
        message |= {"content": None, "tool_calls": [{"id": "call_1", "type": "function", "function": function}]}
    reason = "tool_calls" if message["content"] is None else "stop"
    choice = {"index": 0, "message": message, "finish_reason": reason}
    return {"id": "chatcmpl-1", "object": "chat.completion", **_HEAD, "choices": [choice], "usage": _USAGE}


def _chunks(call: dict[str, Any]) -> list[dict[str, Any]]:
    head = {"id": "chatcmpl-2", "object": "chat.completion.chunk", **_HEAD}
    deltas = [{"role": "assistant", "content": "You "}, {"content": "said: "}, {"content": _last_text(call)}]
    choices = [[{"index": 0, "delta": delta, "finish_reason": None}] for delta in deltas]
    choices.append([{"index": 0, "delta": {}, "finish_reason": "stop"}])
    return [head | {"choices": choice} for choice in choices] + [head | {"choices": [], "usage": _USAGE}]


def _response(call: dict[str, Any]) -> dict[str, Any]:
    text = {"type": "output_text", "text": f"You said: {call['input']}", "annotations": []}
    message = {"type": "message", "id": "msg_1", "status": "completed", "role": "assistant", "content": [text]}
    usage = {
        "input_tokens": TOKENS_IN,
        "output_tokens": TOKENS_OUT,
        "total_tokens": TOKENS_IN + TOKENS_OUT,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens_details": {"reasoning_tokens": 0},
    }
    return {
        "id": "resp_1", "object": "response", "created_at": 1_700_000_000, "status": "completed", "model": MODEL,
        "output": [message], "parallel_tool_calls": True, "tool_choice": "auto", "tools": [], "usage": usage,
    }  # fmt: skip


def _embedding() -> dict[str, Any]:
    data = [{"object": "embedding", "index": 0, "embedding": [0.25, 0.5]}]
    usage = {"prompt_tokens": 3, "total_tokens": 3}
    return {"object": "list", "data": data, "model": "text-embedding-3-small", "usage": usage}
