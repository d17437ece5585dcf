"""Request ids, counts, and the response to an unexpected error."""

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
    """ASGI middleware. Sends the client's request id, or a new one, back as X-Request-ID."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        response = _Response(send, _request_id(scope))
        started_s = time.perf_counter()
        try:
            await self._app(scope, receive, response.send)
        except Exception:
            metrics.UNEXPECTED_ERRORS.inc()
            logger.exception("request %s ended in an unexpected error", response.request_id)
            if response.status:
                raise
            await problem_response(_unexpected(response.request_id))(scope, receive, response.send)
        finally:
            _count(scope, response.status, time.perf_counter() - started_s)


class _Response:
    """Watches a response on its way out."""

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
    request_id = Headers(scope=scope).get("x-request-id", "")
    return request_id if _REQUEST_ID.fullmatch(request_id) else uuid.uuid4().hex


def _unexpected(request_id: str) -> Problem:
    return Problem(
        500,
        "internal_error",
        "the gateway met an unexpected error",
        f"send the same request again; the log of the gateway tells more of request {request_id}",
    )
