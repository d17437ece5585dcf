"""How many requests a key may make: beyond it, 429 with the time to wait."""

from __future__ import annotations

import math
import time
from typing import Any

import limits
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from phospho_schemas.errors import Problem
from phospho_store.registry import key_hash

_STATE = "phospho.rate_limit"


def parsed_rate(text: str) -> limits.RateLimitItem | None:
    """Return the rate of a text such as `100/second`; None for an empty one. Raises ValueError."""
    return limits.parse(text) if text else None


class RateLimit:
    """
    Counts the requests of each key in this process, in a sliding window of two counters a key.

    Only keys that are good are counted, so that nobody fills the memory with made-up ones.
    """

    def __init__(self, rate: str) -> None:
        self._rate = parsed_rate(rate)
        self._limiter = SlidingWindowCounterRateLimiter(MemoryStorage())

    def take(self, request: Request, secret: str) -> None:
        """Count one request. Raises Problem (429) where the key has made as many as it may."""
        if self._rate is None:
            return
        key = key_hash(secret)
        is_within = self._limiter.hit(self._rate, key)
        window = self._limiter.get_window_stats(self._rate, key)
        reset_s = max(1, math.ceil(window.reset_time - time.time()))
        request.scope[_STATE] = {
            "RateLimit-Limit": str(self._rate.amount),
            "RateLimit-Remaining": str(window.remaining if is_within else 0),
            "RateLimit-Reset": str(reset_s),
        }
        if not is_within:
            raise Problem(
                429,
                "rate_limited",
                f"this key may make {self._rate.amount} requests in {self._rate.get_expiry()} s",
                "send the same request again after the time in Retry-After; log in batches to need fewer requests",
                reset_s,
            )


class RateLimitHeaders:
    """ASGI middleware: says on each answer how many requests are left (draft-ietf-httpapi-ratelimit-headers-07)."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""

        async def with_headers(message: Message) -> None:
            found: dict[str, Any] | None = scope.get(_STATE)
            if found and message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(found)
            await send(message)

        await self._app(scope, receive, with_headers)
