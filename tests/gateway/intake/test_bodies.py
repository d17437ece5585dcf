"""Bodies: encodings, bounds before and after inflation, time, and the bytes of all requests together."""

from __future__ import annotations

import asyncio
import gzip
import http.client
import socket
import tracemalloc
import zlib
from collections.abc import AsyncIterator, Callable
from urllib.parse import urlsplit

import httpx
import orjson
import pytest

from gateway.conftest import AppMaker, ClientMaker, Counted, Serve
from gateway.recording import RecordingPublisher, RefusingPublisher, WaitingPublisher
from phospho_gateway.intake.bodies import ByteBudget, inflated, zstd
from phospho_gateway.settings import GatewaySettings
from phospho_store.registry.registry import NewKey
from phospho_web.problems import Problem

BODY = orjson.dumps({"input": "a", "output": "b"})
PATH = "/api/v1/events"


def raw_deflate(body: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return compressor.compress(body) + compressor.flush()


COMPRESSORS: list[tuple[str, Callable[[bytes], bytes]]] = [
    ("gzip", gzip.compress),
    ("x-gzip", gzip.compress),
    ("GZIP", gzip.compress),
    ("deflate", zlib.compress),
    ("deflate", raw_deflate),
    ("zstd", zstd.compress),
]


@pytest.mark.parametrize(("encoding", "compress"), COMPRESSORS)
async def test_a_compressed_body_is_inflated(
    encoding: str, compress: Callable[[bytes], bytes], client: httpx.AsyncClient, publisher: RecordingPublisher
) -> None:
    answer = await client.post(PATH, content=compress(BODY), headers={"Content-Encoding": encoding})

    assert answer.status_code == 201, answer.text
    assert publisher.documents[0]["input"] == "a"


@pytest.mark.parametrize("encoding", ["identity", ""])
async def test_a_body_may_say_that_it_is_not_compressed(encoding: str, client: httpx.AsyncClient) -> None:
    answer = await client.post(PATH, content=BODY, headers={"Content-Encoding": encoding})

    assert answer.status_code == 201


@pytest.mark.parametrize("encoding", ["br", "gzip, gzip", "nonsense", "compress"])
async def test_an_encoding_that_is_not_known_is_a_415(encoding: str, client: httpx.AsyncClient) -> None:
    answer = await client.post(PATH, content=BODY, headers={"Content-Encoding": encoding})

    assert (answer.status_code, answer.json()["error"]["code"]) == (415, "unsupported_encoding")


@pytest.mark.parametrize(("encoding", "compress"), COMPRESSORS)
@pytest.mark.parametrize(
    "damage",
    [lambda body: body[:-3], lambda body: body + b"more", lambda body: b"", lambda body: b"\xff" * 20],
    ids=["cut", "longer", "empty", "noise"],
)
async def test_a_damaged_stream_is_a_400(
    encoding: str,
    compress: Callable[[bytes], bytes],
    damage: Callable[[bytes], bytes],
    client: httpx.AsyncClient,
) -> None:
    answer = await client.post(PATH, content=damage(compress(BODY)), headers={"Content-Encoding": encoding})

    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "malformed_body")


@pytest.mark.parametrize(("encoding", "compress"), COMPRESSORS)
def test_a_bomb_is_refused_within_bounded_memory(encoding: str, compress: Callable[[bytes], bytes]) -> None:
    bomb = compress(bytes(50_000_000))
    limit_bytes = 1_000_000

    tracemalloc.start()
    with pytest.raises(Problem) as raised:
        inflated(bomb, encoding, limit_bytes)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert raised.value.status == 413
    assert peak_bytes < 4 * limit_bytes + len(bomb)


def test_zstd_with_a_window_beyond_8_mb_is_refused() -> None:
    options = {zstd.CompressionParameter.window_log: 27, zstd.CompressionParameter.enable_long_distance_matching: 1}
    compressor = zstd.ZstdCompressor(options=options)
    body = compressor.compress(bytes(9_000_000)) + compressor.flush()

    with pytest.raises(Problem) as raised:
        inflated(body, "zstd", 10_000_000)

    assert raised.value.status == 400


async def test_a_body_that_inflates_to_exactly_the_bound_is_taken(make_client: ClientMaker) -> None:
    client = make_client(settings=GatewaySettings(max_body_bytes=len(BODY), max_large_body_bytes=len(BODY)))
    headers = {"Content-Encoding": "deflate"}

    taken = await client.post(PATH, content=raw_deflate(BODY), headers=headers)
    refused = await client.post(PATH, content=raw_deflate(BODY + b" "), headers=headers)

    assert (taken.status_code, refused.status_code) == (201, 413)


async def test_a_body_above_the_bound_is_a_413_announced_or_not(make_client: ClientMaker) -> None:
    client = make_client(settings=GatewaySettings(max_body_bytes=100, max_large_body_bytes=100))

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b" " * 10

    announced = await client.post(PATH, content=b" " * 101)
    unannounced = await client.post(PATH, content=chunks())

    assert [answer.status_code for answer in (announced, unannounced)] == [413, 413]
    assert announced.json() == unannounced.json()


async def test_full_budget_is_503_until_a_request_is_done(make_client: ClientMaker, counted: Counted) -> None:
    publisher = WaitingPublisher()
    client = make_client(settings=GatewaySettings(max_in_flight_bytes=50_000), publisher=publisher)
    body = orjson.dumps({"input": "a" * 20_000, "output": "b"})

    first = asyncio.create_task(client.post(PATH, content=body))
    await asyncio.wait_for(publisher.entered.wait(), 10)
    held = counted()
    second = await client.post(PATH, content=body)
    publisher.release.set()
    assert (await first).status_code == 201
    third = await client.post(PATH, content=body)

    assert "phospho_gateway_in_flight_bytes 36" in held
    assert (second.status_code, second.json()["error"]["code"]) == (503, "overloaded")
    assert second.headers["Retry-After"] == "2"
    assert third.status_code == 201
    assert "phospho_gateway_in_flight_bytes 0.0" in counted()


def test_small_requests_are_bounded_in_number_by_what_each_is_charged() -> None:
    budget = ByteBudget(40_000, 2)

    with budget.lease(), budget.lease():
        with pytest.raises(Problem) as raised, budget.lease():
            pass
        assert raised.value.status == 503
    with budget.lease():
        pass


def test_one_key_leaves_half_of_the_budget_to_others() -> None:
    budget = ByteBudget(1_000_000, 2)

    with budget.lease("heavy") as first:
        first.grow(700_000)
        with pytest.raises(Problem), budget.lease("heavy"):
            pass
        with budget.lease("light") as light, budget.lease("light"):
            light.grow(200_000)


async def test_refused_requests_give_their_bytes_back(make_client: ClientMaker, counted: Counted) -> None:
    client = make_client(settings=GatewaySettings(max_in_flight_bytes=40_000))
    bodies = [b"x" * 20_000, gzip.compress(bytes(30_000)), b"{}"]

    for body in bodies:
        answer = await client.post(PATH, content=body, headers={"Content-Encoding": "gzip"})
        assert answer.status_code in (400, 503)

    assert "phospho_gateway_in_flight_bytes 0.0" in counted()


@pytest.mark.parametrize("path", [PATH, "/api/v1/events/batch", "/v2/log/shop"])
async def test_refusal_of_the_publisher_is_the_answer(path: str, make_client: ClientMaker, counted: Counted) -> None:
    refusal = Problem(503, "queue_full", "too much waits", "later", retry_after_s=7)
    client = make_client(publisher=RefusingPublisher(refusal))
    event = {"input": "a", "output": "b"}

    answer = await client.post(path, json=event | {"events": [event], "batched_log_events": [event]})

    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "7"
    assert answer.json() == refusal.body()
    metrics = counted()
    assert 'phospho_gateway_publish_failures_total{code="queue_full"} 1.0' in metrics
    assert "phospho_gateway_messages_accepted_total{" not in metrics


async def test_a_publisher_that_never_confirms_is_a_503(make_client: ClientMaker) -> None:
    client = make_client(settings=GatewaySettings(publish_timeout_s=0.05), publisher=WaitingPublisher())

    answer = await client.post(PATH, content=BODY)

    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "publish_timeout")
    assert answer.headers["Retry-After"] == "2"


async def test_the_answer_waits_for_the_publisher(make_client: ClientMaker) -> None:
    publisher = WaitingPublisher()
    pending = asyncio.create_task(make_client(publisher=publisher).post(PATH, content=BODY))
    await asyncio.wait_for(publisher.entered.wait(), 10)

    assert not pending.done()
    publisher.release.set()

    assert (await pending).status_code == 201
    assert len(publisher.messages) == 1


def _request(url: str, key: NewKey, length: int) -> tuple[socket.socket, bytes]:
    """Return a connection, and the head of a request on it whose body has `length` bytes."""
    parts = urlsplit(url)
    connection = socket.create_connection((parts.hostname or "", parts.port or 0), timeout=10)
    lines = [f"POST {PATH} HTTP/1.1", "Host: gateway", f"Authorization: Bearer {key.secret}"]
    return connection, "\r\n".join([*lines, f"Content-Length: {length}", "", ""]).encode()


def test_a_body_that_does_not_arrive_in_time_is_a_408(make_app: AppMaker, serve: Serve, api_key: NewKey) -> None:
    connection, head = _request(serve(make_app(GatewaySettings(body_timeout_s=0.2))), api_key, 100)
    with connection:
        connection.sendall(head + b'{"input": ')
        answer = connection.recv(10_000)

    assert answer.startswith(b"HTTP/1.1 408")
    assert b"body_timeout" in answer


def test_a_client_that_goes_away_leaves_the_server_working(
    make_app: AppMaker, serve: Serve, api_key: NewKey, publisher: RecordingPublisher, counted: Counted
) -> None:
    url = serve(make_app())
    connection, head = _request(url, api_key, 100)
    with connection:
        connection.sendall(head + b'{"input": ')

    headers = {"Authorization": f"Bearer {api_key.secret}"}
    answer = httpx.post(url + PATH, content=BODY, headers=headers)

    assert answer.status_code == 201
    assert len(publisher.messages) == 1
    assert "unexpected_errors_total 0.0" in counted()


def test_a_client_that_sends_too_much_gets_to_read_why(make_app: AppMaker, serve: Serve, api_key: NewKey) -> None:
    parts = urlsplit(serve(make_app()))
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=10)
    headers = {"Authorization": f"Bearer {api_key.secret}"}

    connection.request("POST", PATH, bytes(12_000_000), headers)
    answer = connection.getresponse()
    refusal = answer.read()
    connection.request("POST", PATH, BODY, headers)
    next_answer = connection.getresponse()

    assert (answer.status, next_answer.status) == (413, 201)
    assert b"body_too_large" in refusal
    connection.close()


def _event(text_bytes: int) -> bytes:
    return orjson.dumps({"input": "a" * text_bytes, "output": "b"})


async def test_second_body_is_read_while_the_first_is_not_durable(make_client: ClientMaker) -> None:
    """An event of 600 KB is read in a thread, one at a time, and is published beside others."""
    publisher = WaitingPublisher()
    client = make_client(publisher=publisher)
    requests = []
    for _ in range(2):
        publisher.entered.clear()
        requests.append(asyncio.create_task(client.post(PATH, content=_event(600_000))))
        await asyncio.wait_for(publisher.entered.wait(), 30)
    publisher.release.set()

    assert [answer.status_code for answer in await asyncio.gather(*requests)] == [201, 201]


async def test_body_that_waits_too_long_for_a_larger_one_is_a_503(make_client: ClientMaker, counted: Counted) -> None:
    publisher = WaitingPublisher()
    client = make_client(settings=GatewaySettings(max_body_bytes=1_000_000, body_timeout_s=0.5), publisher=publisher)

    first = asyncio.create_task(client.post(PATH, content=_event(1_100_000)))
    await asyncio.wait_for(publisher.entered.wait(), 30)
    second = await client.post(PATH, content=_event(600_000))
    publisher.release.set()

    assert (second.status_code, second.json()["error"]["code"]) == (503, "overloaded")
    assert second.headers["Retry-After"] == "2"
    assert (await first).status_code == 201
    assert (await client.post(PATH, content=_event(600_000))).status_code == 201
    assert "phospho_gateway_in_flight_bytes 0.0" in counted()


_IN_FLIGHT = "phospho_gateway_in_flight_bytes"


async def test_large_body_is_charged_for_the_width_of_its_text(make_client: ClientMaker, counted: Counted) -> None:
    publisher = WaitingPublisher()
    settings = GatewaySettings(max_body_bytes=1_000_000, max_in_flight_bytes=5_000_000)
    client = make_client(settings=settings, publisher=publisher)

    def wide_event(text_bytes: int) -> bytes:
        return orjson.dumps({"input": "a" * text_bytes + "\N{GRINNING FACE}", "output": "b"})

    first = asyncio.create_task(client.post(PATH, content=wide_event(1_100_000)))
    await asyncio.wait_for(publisher.entered.wait(), 30)
    held = counted()
    publisher.release.set()
    assert (await first).status_code == 201
    refused = await client.post(PATH, content=wide_event(1_300_000))

    assert (refused.status_code, refused.json()["error"]["code"]) == (413, "body_too_large")
    [held_bytes] = [float(line.split()[1]) for line in held.splitlines() if line.startswith(f"{_IN_FLIGHT} ")]
    assert held_bytes > 4 * 1_100_000
    assert "phospho_gateway_in_flight_bytes 0.0" in counted()
