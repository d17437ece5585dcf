"""Bounded bodies and their JSON."""

from __future__ import annotations

import gc
import sys
from contextlib import suppress
from typing import Any

import pytest
from starlette.requests import Request

from phospho_store.errors import StatementRefused, StoreUnavailable
from phospho_web.problems import Problem, problem_of
from phospho_web.requests import parse_json, read_body, read_object


def request(*chunks: bytes, content_length: str = "") -> Request:
    """Return a request whose body comes in `chunks`."""
    messages = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks]
    messages.append({"type": "http.request", "body": b"", "more_body": False})
    headers = [(b"content-length", content_length.encode())] if content_length else []

    async def receive() -> dict[str, Any]:
        return messages.pop(0)

    return Request({"type": "http", "method": "POST", "headers": headers}, receive)


async def test_read_body_joins_chunks_and_reports_their_sizes() -> None:
    sizes: list[int] = []

    assert await read_body(request(b"ab", b"c"), 3, sizes.append) == b"abc"
    assert [size for size in sizes if size] == [2, 1]


@pytest.mark.parametrize(("chunks", "content_length"), [((b"ab", b"cd"), ""), ((), "4")])
async def test_read_body_refuses_what_is_or_says_too_much(chunks: tuple[bytes, ...], content_length: str) -> None:
    with pytest.raises(Problem) as refusal:
        await read_body(request(*chunks, content_length=content_length), 3)

    assert (refusal.value.status, refusal.value.code) == (413, "body_too_large")


@pytest.mark.parametrize("body", [b"", b" \n"])
async def test_read_object_of_an_empty_body_is_empty(body: bytes) -> None:
    assert await read_object(request(body), 10) == {}


@pytest.mark.parametrize(("body", "status"), [(b"[1]", 422), (b"{", 400), (b"NaN", 400)])
async def test_read_object_refuses_other_documents(body: bytes, status: int) -> None:
    with pytest.raises(Problem) as refusal:
        await read_object(request(body), 100)

    assert refusal.value.status == status


@pytest.mark.parametrize(
    ("body", "document"),
    [(b'\xef\xbb\xbf{"a":1}', {"a": 1}), (b'["\\ud83d"]', ["\ufffd"]), (b'["\xed\xa0\xbd"]', ["\ufffd"])],
)
def test_parse_json_mends_half_characters_and_byte_order_marks(body: bytes, document: object) -> None:
    assert parse_json(body) == document


@pytest.mark.parametrize(("error", "status"), [(StoreUnavailable("gone"), 503), (StatementRefused("no table x"), 500)])
def test_problem_of_the_store_tells_no_detail(error: StoreUnavailable | StatementRefused, status: int) -> None:
    problem = problem_of(error)

    assert problem.status == status
    assert str(error) not in problem.message + problem.hint


def test_malformed_body_is_freed_without_the_collector() -> None:
    """The collector comes rarely, and a body is megabytes."""
    body = b'{"a": "' + b"x" * 1000
    references = sys.getrefcount(body)
    gc.disable()
    try:
        with suppress(Problem):
            parse_json(body)
        assert sys.getrefcount(body) == references
    finally:
        gc.enable()
