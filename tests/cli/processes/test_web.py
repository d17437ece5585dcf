"""One port of gateway, API and pages."""

from __future__ import annotations

import httpx
from starlette.applications import Starlette

from phospho_cli.processes.web import PathRouter, with_cors
from phospho_gateway.settings import GatewaySettings

ORIGIN = "https://app.example"


async def test_cors_covers_unknown_api_paths_and_no_page() -> None:
    pages = Starlette()
    api = with_cors(pages, GatewaySettings(cors_origins=(ORIGIN,)))
    router = PathRouter(gateway=pages, api=api, pages=pages)
    transport = httpx.ASGITransport(router)
    async with httpx.AsyncClient(transport=transport, base_url="http://test", headers={"Origin": ORIGIN}) as client:
        unknown = await client.post("/api/v1/eventz")
        page = await client.get("/tasks")

    assert (unknown.status_code, unknown.headers["access-control-allow-origin"]) == (404, ORIGIN)
    assert "access-control-allow-origin" not in page.headers
