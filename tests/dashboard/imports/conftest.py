"""A browser of the pages of imports, over an intake whose messages are recorded."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from ipaddress import ip_network
from typing import Any

import orjson
import pytest
from httpx import ASGITransport, AsyncClient, Response

from dashboard.imports.remote_api import RemoteApi, remote_api
from phospho_dashboard.app import create_app
from phospho_dashboard.settings import DashboardSettings
from phospho_gateway.intake.imports import ImportIntake
from phospho_gateway.intake.intake import Intake
from phospho_gateway.settings import GatewaySettings
from phospho_schemas.ids import HybridClock
from phospho_workers.jobs.webhooks.outbound import Outbound


class Browser:
    """A browser of the open pages, with one project."""

    def __init__(self, client: AsyncClient, project: str, world: Any) -> None:
        self.client = client
        self.query = {"project": project}
        self.token = ""
        self._world = world

    @property
    def logged(self) -> list[dict[str, Any]]:
        """The messages that were published."""
        return [orjson.loads(message.value) for message in self._world.publisher.messages]

    async def open(self) -> str:
        """Return the page to begin with."""
        page = await self.client.get("/import", params=self.query)
        token = re.search(r'name="form_token" value="([0-9a-f]{64})"', page.text)
        assert token, page.text
        self.token = token[1]
        return page.text

    async def upload(self, name: str, content: bytes, **fields: str) -> Response:
        await self.open()
        form = {"form_token": self.token, **fields}
        return await self.client.post("/import", params=self.query, data=form, files={"file": (name, content)})

    async def pull(self, **fields: Any) -> Response:
        await self.open()
        return await self.client.post("/import/pull", params=self.query, data={"form_token": self.token, **fields})

    async def ended(self, path: str, part: str = "run") -> dict[str, Any]:
        """Return the run over a file, or its pull, at its end."""
        for _ in range(1200):
            state = (await self.client.get(path.replace("?", ".json?"))).json()[part]
            if state is not None and state["state"] != "running":
                return dict(state)
            await asyncio.sleep(0.05)
        raise AssertionError(f"the {part} did not end")

    async def act(self, path: str, action: str, columns: list[str], **fields: str) -> Response:
        form = {"form_token": self.token, "action": action, "column": columns, **fields}
        return await self.client.post(path, data=form)


@pytest.fixture
async def browser(world: Any, project: str) -> AsyncIterator[Browser]:
    world.publisher.messages.clear()
    intake = ImportIntake(Intake(GatewaySettings(), world.publisher, HybridClock()))
    services = world.services(DashboardSettings(pages_open=True), world.publisher)
    fetch = Outbound([ip_network("127.0.0.0/8")]).fetch
    app = create_app(services, replace(world.integrations, intake=intake, fetch=fetch))
    headers = {"Sec-Fetch-Site": "same-origin"}
    async with AsyncClient(transport=ASGITransport(app), base_url="http://127.0.0.1:8420", headers=headers) as client:
        yield Browser(client, project, world)


@pytest.fixture
def api() -> Iterator[RemoteApi]:
    with remote_api() as running:
        yield running
