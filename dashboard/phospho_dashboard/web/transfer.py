"""Compression of responses, and 304 where the browser has the same answer already."""

from __future__ import annotations

import hashlib

from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_MIN_COMPRESSED_BYTES = 1000
# Level 9 takes three times as long for a page that is 2 % smaller.
_GZIP_LEVEL = 5
# Files of any size, which would keep the event loop busy.
_UNCOMPRESSED_ENDINGS = (".csv", ".jsonl", ".parquet")
STATE_HEADER = "X-Store-State"
_COMPARED_TYPES = ("text/html", "application/json")


def light_responses() -> list[Middleware]:
    """Return the middleware of pages and the API: compression, and 304 for an unchanged answer."""
    return [Middleware(_Compression, minimum_size=_MIN_COMPRESSED_BYTES, compresslevel=_GZIP_LEVEL), Middleware(_ETags)]


class _Compression(GZipMiddleware):
    """gzip for everything but exports."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].endswith(_UNCOMPRESSED_ENDINGS):
            await self.app(scope, receive, send)
            return
        await super().__call__(scope, receive, send)


class _ETags:
    """
    Give pages and JSON an ETag, and answer 304 to a request that has it.

    A live page asks every few seconds, and mostly nothing has changed. The tag is weak: it is of the content before
    its compression. A page may give the state of the store in STATE_HEADER: the tag begins with it, so that
    `has_state` can answer the next request without reading anything.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "GET":
            await self._app(scope, receive, send)
            return
        await self._app(scope, receive, _TaggingSend(send, Headers(scope=scope).get("if-none-match", "")))


class _TaggingSend:
    """Sends one response, with an ETag where its body is one message."""

    def __init__(self, send: Send, known_tags: str) -> None:
        self._send = send
        self._known_contents = {_parts_of(tag)[1] for tag in known_tags.split(",")}
        self._start: Message | None = None

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start" and _is_compared(message):
            self._start = message
            return
        start, self._start = self._start, None
        if start is not None:
            message = self._tagged(start, message)
            await self._send(start)
        await self._send(message)

    def _tagged(self, start: Message, body: Message) -> Message:
        if body.get("more_body"):
            return body
        content = hashlib.blake2b(body["body"], digest_size=12).hexdigest()
        headers = MutableHeaders(raw=start["headers"])
        headers["ETag"] = f'W/"{headers.get(STATE_HEADER, "")}.{content}"'
        del headers[STATE_HEADER]
        if content not in self._known_contents:
            return body
        start["status"] = 304
        del headers["Content-Length"]
        return {"type": "http.response.body", "body": b""}


def has_state(known_tags: str, state: str) -> str:
    """Return the one of `known_tags` whose page was of this state of the store, empty for none."""
    return next((tag.strip() for tag in known_tags.split(",") if _parts_of(tag)[0] == state), "")


def _parts_of(tag: str) -> tuple[str, str]:
    state, _, content = tag.strip().removeprefix("W/").strip('"').partition(".")
    return state, content


def _is_compared(start: Message) -> bool:
    content_type = Headers(raw=start["headers"]).get("content-type", "")
    return start["status"] == 200 and content_type.startswith(_COMPARED_TYPES)
