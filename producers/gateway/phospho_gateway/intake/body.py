"""The body of a request: read in bounded time and bytes, inflated, and parsed."""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.requests import Request

from phospho_gateway.intake.budget import Lease
from phospho_gateway.intake.inflate import inflated
from phospho_gateway.metrics import GatewayMetrics
from phospho_gateway.settings import GatewaySettings
from phospho_web.bodies import object_or_empty, parse_json, read_body
from phospho_web.problems import Problem


class BodyReader:
    """Reads bodies within the bounds of the settings; what it holds is charged to the request's lease."""

    def __init__(self, settings: GatewaySettings, metrics: GatewayMetrics) -> None:
        self._settings = settings
        self._metrics = metrics

    async def document(self, request: Request, lease: Lease) -> Any:
        """
        Return the JSON document of the body.

        Raises what `content` does.
        """
        content = await self.content(request, lease)
        # No await from here to the end: one request at a time has its objects in memory.
        return parse_json(content)

    async def content(self, request: Request, lease: Lease) -> bytes:
        """
        Return the bytes of the body, inflated.

        Raises Problem (400, 408, 413, 415, 503) and starlette's ClientDisconnect.
        """
        body = await self._wire_bytes(request, lease)
        self._metrics.body_bytes.labels("wire").inc(len(body))
        encoding = request.headers.get("content-encoding", "")
        content = inflated(body, encoding, self._settings.max_body_bytes)
        self._metrics.body_bytes.labels("inflated").inc(len(content))
        if content is not body:
            lease.grow(len(content))
        return content

    async def object_or_empty(self, request: Request, lease: Lease) -> dict[str, Any]:
        """Return the JSON object of the body, empty where there is no body. Raises as `document`, and Problem (422)."""
        return object_or_empty(await self.content(request, lease))

    async def _wire_bytes(self, request: Request, lease: Lease) -> bytes:
        try:
            async with asyncio.timeout(self._settings.body_timeout_s):
                return await read_body(request, self._settings.max_body_bytes, lease.grow)
        except TimeoutError:
            raise Problem(
                408,
                "body_timeout",
                f"the body did not arrive within {self._settings.body_timeout_s:g} s",
                "send smaller batches over a slow line",
            ) from None
