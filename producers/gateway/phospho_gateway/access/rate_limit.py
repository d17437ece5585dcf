"""Rate limits: a key above its limit gets a 429 with the time to wait."""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, NamedTuple

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from phospho_gateway.settings import Rate, parsed_rate
from phospho_store.registry.registry import key_hash
from phospho_web.problems import Problem

_STATE = "phospho.rate_limit"
_MAX_KEYS = 10_000


class _Window(NamedTuple):
    """The requests of a key in the window `number` since the epoch, and in the one before."""

    number: int
    requests: int
    before: int


class RateLimit:
    """
    Counts the requests of each key in this process, in a sliding window of two counters a key.

    The count of the window before fades as the present one passes. Only valid keys are counted, so that nobody fills
    the memory with made-up ones; above 10,000 keys the one with the oldest request is forgotten.
    """

    def __init__(self, rate: str, now_s: Callable[[], float] = time.time) -> None:
        self._rate = parsed_rate(rate)
        self._now_s = now_s
        self._windows: OrderedDict[str, _Window] = OrderedDict()

    def take(self, request: Request, secret: str) -> None:
        """Count one request. Raises Problem (429) above the limit."""
        if self._rate is None:
            return
        left, reset_s = self._counted(key_hash(secret), self._rate)
        request.scope[_STATE] = {
            "RateLimit-Limit": str(self._rate.requests),
            "RateLimit-Remaining": str(max(left, 0)),
            "RateLimit-Reset": str(reset_s),
        }
        if left < 0:
            raise Problem(
                429,
                "rate_limited",
                f"this key may make {self._rate.requests} requests in {self._rate.window_s} s",
                "send the same request again after the time in Retry-After; log in batches to need fewer requests",
                retry_after_s=reset_s,
            )

    def _counted(self, key: str, rate: Rate) -> tuple[int, int]:
        """Count a request; return the requests left, -1 above the rate, and the seconds to the next window."""
        number, passed_s = divmod(self._now_s(), rate.window_s)
        window = self._window(key, int(number))
        used = window.requests + window.before * (1 - passed_s / rate.window_s)
        is_within = used + 1 <= rate.requests
        self._windows[key] = window._replace(requests=window.requests + is_within)
        self._windows.move_to_end(key)
        if len(self._windows) > _MAX_KEYS:
            self._windows.popitem(last=False)
        return math.floor(rate.requests - used - 1) if is_within else -1, max(1, math.ceil(rate.window_s - passed_s))

    def _window(self, key: str, number: int) -> _Window:
        window = self._windows.get(key, _Window(number, 0, 0))
        if window.number == number:
            return window
        return _Window(number, 0, window.requests if window.number == number - 1 else 0)


class RateLimitHeaders:
    """ASGI middleware that adds the rate limit headers (draft-ietf-httpapi-ratelimit-headers-06)."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""

        async def with_headers(message: Message) -> None:
            limits: dict[str, Any] | None = scope.get(_STATE)
            if limits and message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(limits)
            await send(message)

        await self._app(scope, receive, with_headers)
