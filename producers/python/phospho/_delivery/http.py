"""The default transport: batches of JSON over one kept-alive HTTP connection."""

from __future__ import annotations

import json
import os
import time
import zlib
from collections.abc import Sequence
from typing import Any, NamedTuple
from urllib.parse import quote

from .._content.json_values import encode
from .._logger import error_text, printable
from .._version import __version__
from ..config import Settings
from .connection import Answer, Connection, NoAnswerError
from .queue import LABEL, LOG, Event
from .transport import Outcome, Transport

__all__ = ["HttpTransport", "error_message", "identity_headers"]

# Below this a gzip header costs more than it saves.
_GZIP_FROM_BYTES = 1024
# zlib's `wbits` for a gzip wrapper around a 32 kB window.
_GZIP_WBITS = 16 + zlib.MAX_WBITS

_RETRIED_STATUSES = frozenset({408, 425, 429})
# One bad event may be the reason that a batch was refused, so its halves are sent apart.
_SPLIT_STATUSES = frozenset({400, 413, 422})

# With Kafka an accepted task is stored about a second later, and only then can its events be labelled.
_UNKNOWN_TASK_GRACE_S = 5.0
_UNKNOWN_TASK_PAUSE_S = 0.5

_AFTER_ITS_LOG = Outcome.retry("waiting", "an earlier event of the batch must be sent first")


def _encoded(events: Sequence[Event]) -> tuple[dict[int, bytes], dict[int, Outcome]]:
    """Return the bodies of events by `id()`, and the rejections of those that can't be JSON."""
    bodies: dict[int, bytes] = {}
    rejections: dict[int, Outcome] = {}
    for event in events:
        try:
            bodies[id(event)] = event.encoded()
        except Exception as error:  # the app may have put anything into `log_queue.events`
            rejections[id(event)] = Outcome.rejected("not_encodable", error_text(error))
    return bodies, rejections


class HttpTransport(Transport):
    """
    Sends logs to `/api/v1/events/batch`, each feedback to its event, and labels to `/api/v1/labels`.

    All requests carry the API key as bearer token.
    """

    def __init__(self, settings: Settings) -> None:
        self.destination = (settings.base_url, settings.api_key or "")
        self._settings = settings
        self._unknown_since: dict[str, float] = {}
        self._connection = Connection(settings.base_url, settings.request_timeout_s)

    def send(self, events: Sequence[Event]) -> list[Outcome]:
        """Send the logs as one batch, then the rest one by one: a task precedes its feedback and labels."""
        bodies, outcomes = _encoded(events)
        logs = [event for event in events if event.kind == LOG and id(event) in bodies]
        outcomes.update(zip(map(id, logs), self._send_logs([bodies[id(event)] for event in logs])))
        is_waiting = any(outcome.status == "retry" for outcome in outcomes.values())
        for event in events:
            if event.kind != LOG and id(event) in bodies:
                outcomes[id(event)] = _AFTER_ITS_LOG if is_waiting else self._send_single(event)
                is_waiting = is_waiting or outcomes[id(event)].status == "retry"
        return [outcomes[id(event)] for event in events]

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def after_fork(self) -> None:
        """Leave the parent's connection to the parent."""
        self._connection = Connection(self._settings.base_url, self._settings.request_timeout_s)

    def _send_logs(self, bodies: Sequence[bytes]) -> list[Outcome]:
        if not bodies:
            return []
        answer = self._post("/api/v1/events/batch", b'{"events":[' + b",".join(bodies) + b"]}")
        if isinstance(answer, Outcome):
            return [answer] * len(bodies)
        if answer.status in _SPLIT_STATUSES and len(bodies) > 1:
            middle = len(bodies) // 2
            return self._send_logs(bodies[:middle]) + self._send_logs(bodies[middle:])
        if 200 <= answer.status < 300:
            return _results(answer, len(bodies))
        return [_refusal(answer)] * len(bodies)

    def _send_single(self, event: Event) -> Outcome:
        return self._send_label(event) if event.kind == LABEL else self._send_feedback(event)

    def _send_label(self, event: Event) -> Outcome:
        answer = self._post("/api/v1/labels", b'{"labels":[' + event.encoded() + b"]}")
        if isinstance(answer, Outcome):
            return answer
        if answer.status == 404 and self._may_be_stored_soon(event, answer):
            return Outcome.retry("unknown_task", error_message(answer), _UNKNOWN_TASK_PAUSE_S)
        self._unknown_since.pop(event.id, None)
        return Outcome.accepted() if 200 <= answer.status < 300 else _refusal(answer)

    def _may_be_stored_soon(self, event: Event, answer: Answer) -> bool:
        """Return whether the task of a label is unknown, but not for longer than the grace period."""
        now_s = time.monotonic()
        first_s = self._unknown_since.setdefault(event.id, now_s)
        return _error(_document(answer)).code == "unknown_task" and now_s - first_s < _UNKNOWN_TASK_GRACE_S

    def _send_feedback(self, event: Event) -> Outcome:
        path = f"/api/v1/events/{quote(str(event.content['task_id']), safe='')}/feedback"
        answer = self._post(path, encode(_feedback_body(event.content)), {"Idempotency-Key": event.id})
        if isinstance(answer, Outcome):
            return answer
        return Outcome.accepted() if 200 <= answer.status < 300 else _refusal(answer)

    def _post(self, path: str, body: bytes, extra_headers: dict[str, str] | None = None) -> Answer | Outcome:
        """Return the `Answer`, or an `Outcome` if there was none or the request must be repeated."""
        headers = {
            **identity_headers(self._settings),
            "Content-Type": "application/json",
            **(extra_headers or {}),
        }
        content_bytes = len(body)
        if content_bytes >= _GZIP_FROM_BYTES:
            compressor = zlib.compressobj(level=4, wbits=_GZIP_WBITS)
            body = compressor.compress(body) + compressor.flush()
            headers["Content-Encoding"] = "gzip"
        try:
            answer = self._connection.request("POST", path, body, headers, content_bytes=content_bytes)
        except NoAnswerError as error:
            advice = "Start phospho there, or set PHOSPHO_BASE_URL"
            return Outcome.retry("no_answer", f"{error} at {self._settings.base_url}. {advice}")
        if answer.status == 401 and "Authorization" in headers:
            advice = "Check PHOSPHO_API_KEY, or api_key= of phospho.init"
            return Outcome.rejected("http_401", f"{self._settings.base_url} refuses the API key. {advice}")
        if answer.status in _RETRIED_STATUSES or answer.status >= 500:
            return Outcome.retry(f"http_{answer.status}", error_message(answer), answer.retry_after_s)
        return answer


def identity_headers(settings: Settings) -> dict[str, str]:
    """Return the headers that identify the caller: this client, and its API key if it has one."""
    # Read late: many apps load their .env file after `phospho.init`.
    api_key = settings.api_key or os.environ.get("PHOSPHO_API_KEY")
    authorization = {"Authorization": f"Bearer {api_key}"} if api_key else {}
    return {"User-Agent": f"phospho-python/{__version__}", **authorization}


def _feedback_body(content: dict[str, Any]) -> dict[str, Any]:
    """Return one of the two forms of feedback: score and comment, or flag, notes and source."""
    if "score" in content:
        body = {"score": content["score"], "comment": content.get("comment")}
    else:
        body = {"flag": content["flag"], "notes": content.get("comment"), "source": content.get("source")}
    return {name: value for name, value in body.items() if value is not None}


def _results(answer: Answer, expected: int) -> list[Outcome]:
    """Return one outcome per event. An answer without one result each (a proxy's page) means retry."""
    document = _document(answer)
    results = document.get("results") if isinstance(document, dict) else None
    if not isinstance(results, list) or len(results) != expected:
        return [Outcome.retry("bad_answer", f"HTTP {answer.status} without one result per event")] * expected
    return [_result(result) for result in results]


def _result(result: Any) -> Outcome:
    if isinstance(result, dict) and result.get("status") == "accepted":
        return Outcome.accepted()
    error = _error(result)
    return Outcome.rejected(error.code, error.message)


def _refusal(answer: Answer) -> Outcome:
    return Outcome.rejected(f"http_{answer.status}", error_message(answer))


class _Error(NamedTuple):
    code: str
    message: str


def _error(document: Any) -> _Error:
    """Return code and message of an error in the server's one error shape."""
    error = document.get("error") if isinstance(document, dict) else None
    if not isinstance(error, dict):
        return _Error("rejected", "the server gave no reason")
    parts = [printable(str(error[name])) for name in ("message", "hint") if error.get(name)]
    # The server's hint is the rest of a sentence elsewhere; here it is one.
    parts[1:] = [hint[:1].upper() + hint[1:] for hint in parts[1:]]
    return _Error(str(error.get("code") or "rejected"), ". ".join(parts))


def error_message(answer: Answer) -> str:
    """Return the reason for an answer that is no success, in one line."""
    document = _document(answer)
    if isinstance(document, dict) and isinstance(document.get("error"), dict):
        error = _error(document)
        return f"{error.code}: {error.message}"
    if 300 <= answer.status < 400:
        target = printable(answer.location) or "nowhere"
        return f"the server redirects to {target}, and the SDK follows no redirect: set base_url= to the final address"
    return printable(answer.body.decode("utf-8", "replace")) or "the server gave no reason"


def _document(answer: Answer) -> Any:
    try:
        return json.loads(answer.body)
    except (ValueError, RecursionError):
        return None
