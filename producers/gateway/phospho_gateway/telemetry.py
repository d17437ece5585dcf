"""The edge of the process: request ids, counts, and the last answer where nobody foresaw the error."""

from __future__ import annotations

import logging
import re
import time
import uuid

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from phospho_gateway import metrics
from phospho_web.problems import Problem
from phospho_web.responses import problem_response

logger = logging.getLogger(__name__)
_REQUEST_ID = re.compile(r"[A-Za-z0-9._\-]{1,128}")
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Telemetry:
    """ASGI middleware. Takes the request id of the client, or makes one, and sends it back as X-Request-ID."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        answer = _Answer(send, _request_id(scope))
        started_s = time.perf_counter()
        try:
            await self._app(scope, receive, answer.send)
        except Exception:
            metrics.UNEXPECTED_ERRORS.inc()
            logger.exception("request %s ended in an error that nobody foresaw", answer.request_id)
            if answer.status:
                raise
            await problem_response(_unforeseen(answer.request_id))(scope, receive, answer.send)
        finally:
            _count(scope, answer.status, time.perf_counter() - started_s)


class _Answer:
    """Watches an answer on its way out."""

    def __init__(self, send: Send, request_id: str) -> None:
        self._send = send
        self.request_id = request_id
        self.status = 0

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            MutableHeaders(scope=message)["X-Request-ID"] = self.request_id
        await self._send(message)


def _count(scope: Scope, status: int, seconds: float) -> None:
    route = getattr(scope.get("route"), "path", "unmatched").replace(":path}", "}")
    method = scope["method"] if scope["method"] in _METHODS else "other"
    metrics.REQUESTS.labels(route, method, str(status)).inc()
    metrics.REQUEST_SECONDS.labels(route).observe(seconds)


def _request_id(scope: Scope) -> str:
    given = Headers(scope=scope).get("x-request-id", "")
    return given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex


def _unforeseen(request_id: str) -> Problem:
    return Problem(
        500,
        "internal_error",
        "the gateway met an error that nobody foresaw",
        f"send the same request again; the log of the gateway tells more of request {request_id}",
    )
