"""/tasks.csv, /sessions.parquet and the like: the same filters as the page, as a file."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from phospho_dashboard.analytics.exports import FORMATS, Exports
from phospho_dashboard.layout.page_request import Asking
from phospho_dashboard.services import Services
from phospho_dashboard.web.streams import streamed
from phospho_web.responses import with_json_errors

EXPORTED = ("sessions", "tasks", "users")


class ExportPages:
    """
    The endpoints of files, on connections and threads of their own: a large file holds up no page.

    Who takes no chunk for `export_stall_s`, or not all of them within `export_timeout_s`, loses the rest of the file.
    """

    def __init__(self, services: Services) -> None:
        self._services = services
        self._asking = Asking(services)
        self._exports = Exports(services.export_store)

    def routes(self) -> list[BaseRoute]:
        """Return a route for each kind of rows and each format."""
        return [
            Route(f"/{rows}.{ending}", with_json_errors(partial(self._file, rows, ending)))
            for rows in EXPORTED
            for ending in FORMATS
        ]

    async def _file(self, rows: str, ending: str, request: Request) -> Response:
        visitor, project_id = await self._asking.of_page(request)
        threads, settings = self._services.export_threads, self._services.settings
        asked = await self._services.threads.run(self._asking.asked, request, visitor, project_id)
        await threads.run(self._exports.check, rows, asked.scope)
        chunks = self._exports.chunks(rows, ending, asked.scope)
        body = streamed(threads, chunks, settings.export_stall_s, settings.export_timeout_s)
        # What goes wrong before the first rows is told as an error; after them, the answer breaks off.
        first = await anext(body, b"")
        headers = {
            "Cache-Control": "no-store",
            "Content-Disposition": f'attachment; filename="{rows}.{ending}"',
            "X-Content-Type-Options": "nosniff",
        }
        return StreamingResponse(_joined(first, body), headers=headers, media_type=FORMATS[ending].media_type)


async def _joined(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for chunk in rest:
        yield chunk
