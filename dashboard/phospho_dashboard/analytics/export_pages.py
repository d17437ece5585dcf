"""Downloads of lists with the filters of their pages, such as /tasks.csv and /sessions.parquet."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from phospho_dashboard.analytics.exports import FORMATS, Exports
from phospho_dashboard.endpoints import Endpoints
from phospho_dashboard.layout.view_request import ViewRequestReader
from phospho_dashboard.services import Services
from phospho_dashboard.web.streams import stream_chunks
from phospho_web.responses import with_json_errors

EXPORTED_LISTS = ("sessions", "tasks", "users")


def export_routes(services: Services) -> list[BaseRoute]:
    """Return a route for each list and each format."""
    pages = ExportPages(services)
    return [
        Route(f"/{rows}.{ending}", with_json_errors(partial(pages.file, rows, ending)))
        for rows in EXPORTED_LISTS
        for ending in FORMATS
    ]


class ExportPages(Endpoints):
    """
    The endpoints of files, on connections and threads of their own: a large file holds up no page.

    A client that takes no chunk for `export_stall_s`, or not all of them within `export_timeout_s`, loses the rest.
    """

    def __init__(self, services: Services) -> None:
        super().__init__(services)
        self._reader = ViewRequestReader(services.store)
        self._exports = Exports(services.export_store)

    async def file(self, rows: str, ending: str, request: Request) -> Response:
        visitor, project_id = await self._services.access.page_visitor_and_project(request)
        threads, settings = self._services.export_threads, self._services.settings
        view_request = await self._services.threads.run(self._reader.read, request, visitor, project_id)
        await threads.run(self._exports.check, rows, view_request.scope)
        chunks = self._exports.chunks(rows, ending, view_request.scope)
        body = stream_chunks(threads, chunks, settings.export_stall_s, settings.export_timeout_s)
        # An error before the first rows is a response of its own. After them, the body breaks off.
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
