"""The default transport: batches of JSON over one kept-alive HTTP connection."""

from __future__ import annotations

import json
import os
import time
import zlib
from collections.abc import Sequence
from typing import Any, NamedTuple
from urllib.parse import quote

from ._connection import Answer, Connection, NoAnswerError
from ._counters import described, shown
from ._jsonable import encode
from ._queue import LABEL, LOG, Event
from ._transport import Outcome, Transport
from ._version import __version__
from .config import Settings

__all__ = ["HttpTransport", "error_message", "identification"]

# Below this a gzip header costs more than it saves.
_GZIP_FROM_BYTES = 1024
# zlib's `wbits` for a gzip wrapper around a 32 kB window.
_GZIP_WBITS = 16 + zlib.MAX_WBITS

_RETRIED_STATUSES = frozenset({408, 425, 429})
# One event may be the reason that a whole batch was refused: these are tried again in halves.
_SPLIT_STATUSES = frozenset({400, 413, 422})

# On Kafka a task that was accepted is stored about a second later, and only then can its events be judged.
_UNKNOWN_TASK_GRACE_S = 5.0
_UNKNOWN_TASK_PAUSE_S = 0.5


def _encoded(events: Sequence[Event]) -> tuple[dict[int, bytes], dict[int, Outcome]]:
    """Return the bodies of events by `id`, and the refusals of those that can't be JSON."""
    bodies: dict[int, bytes] = {}
    refused: dict[int, Outcome] = {}
    for event in events:
        try:
            bodies[id(event)] = event.encoded()
        except Exception as error:  # what the app has put into `log_queue.events` may do anything
            refused[id(event)] = Outcome.rejected("not_encodable", described(error))
    return bodies, refused


class HttpTransport(Transport):
    """
    Sends logs to `/api/v1/events/batch`, each feedback to its event, and labels to `/api/v1/labels`.

    The API key goes with all of them, as bearer.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._unknown_since: dict[str, float] = {}
        self._connection = Connection(settings.base_url, settings.request_timeout_s)

    def send(self, events: Sequence[Event]) -> list[Outcome]:
        """Send the logs as one batch, then the rest one by one: a task precedes what is said of it."""
        bodies, outcomes = _encoded(events)
        logs = [event for event in events if event.kind == LOG and id(event) in bodies]
        outcomes.update(zip(map(id, logs), self._send_logs([bodies[id(event)] for event in logs])))
        is_waiting = any(outcome.status == "retry" for outcome in outcomes.values())
        for event in events:
            if event.kind != LOG and id(event) in bodies:
                outcomes[id(event)] = _after_its_log() if is_waiting else self._send_verdict(event)
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

    def _send_verdict(self, event: Event) -> Outcome:
        return self._send_label(event) if event.kind == LABEL else self._send_feedback(event)

    def _send_label(self, event: Event) -> Outcome:
        answer = self._post("/api/v1/labels", b'{"labels":[' + event.encoded() + b"]}")
        if isinstance(answer, Outcome):
            return answer
        if answer.status == 404 and self._may_be_stored_yet(event, answer):
            return Outcome.retry("unknown_task", error_message(answer), _UNKNOWN_TASK_PAUSE_S)
        self._unknown_since.pop(event.id, None)
        return Outcome.accepted() if 200 <= answer.status < 300 else _refusal(answer)

    def _may_be_stored_yet(self, event: Event, answer: Answer) -> bool:
        """Return whether the task of a label is unknown, and was not for long."""
        now_s = time.monotonic()
        first_s = self._unknown_since.setdefault(event.id, now_s)
        return _error(_document(answer)).code == "unknown_task" and now_s - first_s < _UNKNOWN_TASK_GRACE_S

    def _send_feedback(self, event: Event) -> Outcome:
        path = f"/api/v1/events/{quote(str(event.content['task_id']), safe='')}/feedback"
        answer = self._post(path, encode(_feedback_body(event.content)), {"Idempotency-Key": event.id})
        if isinstance(answer, Outcome):
            return answer
        return Outcome.accepted() if 200 <= answer.status < 300 else _refusal(answer)

    def _post(self, path: str, body: bytes, extra_headers: dict[str, str] | None = None) -> Any:
        """Return the `Answer`, or the `Outcome` of a request that had none or is to be made again."""
        headers = {**self._headers(), "Content-Type": "application/json", **(extra_headers or {})}
        if len(body) >= _GZIP_FROM_BYTES:
            compressor = zlib.compressobj(level=4, wbits=_GZIP_WBITS)
            body = compressor.compress(body) + compressor.flush()
            headers["Content-Encoding"] = "gzip"
        try:
            answer = self._connection.request("POST", path, body, headers)
        except NoAnswerError as error:
            return Outcome.retry("no_answer", str(error))
        if answer.status in _RETRIED_STATUSES or answer.status >= 500:
            return Outcome.retry(f"http_{answer.status}", error_message(answer), answer.retry_after_s)
        return answer

    def _headers(self) -> dict[str, str]:
        return identification(self._settings)


def identification(settings: Settings) -> dict[str, str]:
    """Return the headers that say who asks: this client, and the key, if there is one."""
    # The environment is read late: many apps load their .env file after `phospho.init`.
    api_key = settings.api_key or os.environ.get("PHOSPHO_API_KEY")
    named = {"Authorization": f"Bearer {api_key}"} if api_key else {}
    return {"User-Agent": f"phospho-python/{__version__}", **named}


def _feedback_body(content: dict[str, Any]) -> dict[str, Any]:
    """Return a score with its comment, or a flag with its notes and source: the two forms of a feedback."""
    if "score" in content:
        body = {"score": content["score"], "comment": content.get("comment")}
    else:
        body = {"flag": content["flag"], "notes": content.get("comment"), "source": content.get("source")}
    return {name: value for name, value in body.items() if value is not None}


def _after_its_log() -> Outcome:
    return Outcome.retry("waiting", "an earlier event of the batch is to be sent first")


def _results(answer: Answer, expected: int) -> list[Outcome]:
    """Return one outcome per event; an answer that is not the server's (a proxy's page) is no receipt."""
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
    """Return code and message of the server's one error shape."""
    error = document.get("error") if isinstance(document, dict) else None
    if not isinstance(error, dict):
        return _Error("rejected", "the server gave no reason")
    parts = [shown(str(error[name])) for name in ("message", "hint") if error.get(name)]
    return _Error(str(error.get("code") or "rejected"), ". ".join(parts))


def error_message(answer: Answer) -> str:
    document = _document(answer)
    if isinstance(document, dict) and isinstance(document.get("error"), dict):
        error = _error(document)
        return f"{error.code}: {error.message}"
    if 300 <= answer.status < 400:
        where = shown(answer.location) or "nowhere"
        return f"the server redirects to {where}, where no log is sent: give base_url= the final address"
    return shown(answer.body.decode("utf-8", "replace")) or "the server gave no reason"


def _document(answer: Answer) -> Any:
    try:
        return json.loads(answer.body)
    except (ValueError, RecursionError):
        return None
