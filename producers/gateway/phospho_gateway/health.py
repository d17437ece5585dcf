"""Liveness, readiness and metrics of the process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from starlette.requests import Request
from starlette.responses import Response

from phospho_gateway.intake.models import Health, Readiness
from phospho_web.endpoints import ApiEndpoints, api_endpoint
from phospho_web.openapi import Problems
from phospho_web.responses import json_response

Check = Callable[[], str | None]


class HealthApi(ApiEndpoints):
    """
    The endpoints that say how the process is.

    `readiness` maps a dependency to a check, which may block, and returns what is wrong or None.
    """

    def __init__(self, readiness: Mapping[str, Check], timeout_s: float, registry: CollectorRegistry) -> None:
        self._readiness = dict(readiness)
        self._timeout_s = timeout_s
        self._registry = registry
        self._running: dict[str, asyncio.Task[str | None]] = {}

    @api_endpoint("get", "/healthz", "Is the process alive?", Health, success="It is.", is_open=True)
    async def health(self, request: Request) -> Response:
        """Return 200 while the process serves requests, whatever its dependencies do."""
        return json_response({"status": "ok"})

    @api_endpoint(
        "get",
        "/readyz",
        "Is everything there that it needs?",
        Readiness,
        success="Everything is.",
        problems=Problems({503: "What is not, and why."}, Readiness),
        is_open=True,
    )
    async def ready(self, request: Request) -> Response:
        """Return 200 if every dependency is ready, else 503 with the reasons."""
        reasons = await asyncio.gather(*[self._reason(name) for name in self._readiness])
        checks = {
            name: {"status": "ready"} if reason is None else {"status": "not_ready", "reason": reason}
            for name, reason in zip(self._readiness, reasons, strict=True)
        }
        is_ready = all(reason is None for reason in reasons)
        document = {"status": "ready" if is_ready else "not_ready", "checks": checks}
        return json_response(document, 200 if is_ready else 503)

    @api_endpoint("get", "/metrics", "Metrics for Prometheus", success="Prometheus' text format.", is_open=True)
    async def metrics(self, request: Request) -> Response:
        """Return the metrics in Prometheus' text format, from a thread: some query the store."""
        text = await asyncio.to_thread(generate_latest, self._registry)
        return Response(text, headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def _reason(self, name: str) -> str | None:
        try:
            return await asyncio.wait_for(asyncio.shield(self._run(name)), self._timeout_s)
        except TimeoutError:
            return f"no answer within {self._timeout_s:g} s"
        except Exception as error:  # A check is a dependency's code: whatever it raises means not ready.
            return f"the check failed: {type(error).__name__}"

    def _run(self, name: str) -> asyncio.Task[str | None]:
        """Start a check in a thread, unless it still runs."""
        task = self._running.get(name)
        if task is None or task.done():
            task = asyncio.create_task(asyncio.to_thread(self._readiness[name]))
            self._running[name] = task
        return task
