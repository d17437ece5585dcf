"""Batches of waiting requests are group commits: of those on their way, without a wait for a request that is alone."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

from phospho_cli.processes.embedded.fair_queue import FairQueue, StoreRequest
from phospho_workers.runtime.records import Record

# A batch that waits in vain outlasts the test.
_FOR_EVER_S = 600.0


def request(project_id: str = "a", records: int = 1) -> StoreRequest:
    record = Record(topic="t", partition=0, offset=0, timestamp_ms=0, key=b"k", value=b"{}")
    return StoreRequest(project_id, [record] * records, 2 * records)


def large_request(project_id: str, parts: int) -> StoreRequest:
    """Return a request of one log of 100 bytes, and parts of 1,000 bytes."""
    values = [b'{"kind":"part",' + b" " * 985] * parts + [b" " * 100]
    records = [Record(topic="t", partition=0, offset=0, timestamp_ms=0, key=b"k", value=value) for value in values]
    return StoreRequest(project_id, records, sum(map(len, values)))


def taken(queue: FairQueue) -> list[StoreRequest]:
    batch = queue.take()
    assert batch is not None
    return list(batch)


def answered(queue: FairQueue, *requests: StoreRequest) -> None:
    """Answer the requests of a batch, whose clients may send the next ones then."""
    for single in requests:
        queue.release(single)


def test_lone_client_never_waits() -> None:
    queue = FairQueue(10_000, _FOR_EVER_S)
    for _ in range(3):
        single = request()
        queue.put(single)
        assert taken(queue) == [single]
        answered(queue, single)


def test_batch_waits_for_the_clients_that_the_last_one_answered() -> None:
    queue = FairQueue(10_000, _FOR_EVER_S)
    for single in (request(), request()):
        queue.put(single)
    answered(queue, *taken(queue))
    first, second = request(), request("b")
    with ThreadPoolExecutor(1) as pool:
        queue.put(first)
        batch = pool.submit(taken, queue)
        queue.put(second)
        assert batch.result(30) == [first, second]


def test_clients_in_turn_come_to_share_a_batch() -> None:
    """One that came while the other's batch was in hand would else never meet it."""
    queue = FairQueue(10_000, _FOR_EVER_S)
    first, waiting, returning = request("b"), request("a"), request("b")
    queue.put(first)
    assert taken(queue) == [first]
    queue.put(waiting)
    answered(queue, first)
    with ThreadPoolExecutor(1) as pool:
        batch = pool.submit(taken, queue)
        queue.put(returning)
        assert batch.result(30) == [waiting, returning]


def test_rest_of_a_large_request_does_not_wait() -> None:
    queue = FairQueue(10_000_000, _FOR_EVER_S)
    large = request(records=5_000)
    queue.put(large)
    batches = 0
    while large.taken < len(large.records):
        assert taken(queue) == [large]
        batches += 1
    assert batches > 1


def test_closing_ends_the_wait() -> None:
    queue = FairQueue(10_000, _FOR_EVER_S)
    for single in (request(), request()):
        queue.put(single)
    answered(queue, *taken(queue))
    left = request()
    queue.put(left)
    closing = threading.Timer(0.05, queue.close)
    closing.start()
    assert taken(queue) == [left]
    assert queue.take() is None


def test_large_request_leaves_room_to_other_projects() -> None:
    queue = FairQueue(10_000, 0.0)
    largest = large_request("a", 14)
    assert queue.put(largest)

    assert queue.put(request("a", 1_000))
    assert queue.put(request("b", 1_000))
    assert queue.put(large_request("b", 6))
    assert not queue.put(large_request("c", 1))
    assert not queue.put(large_request("a", 1))
    assert queue.put(request("c", 1_000))
    queue.release(largest)
    assert queue.put(large_request("c", 1))


def test_one_project_holds_half_of_the_bytes() -> None:
    queue = FairQueue(10_000, 0.0)
    held = request("a", 2_500)
    assert queue.put(held)

    assert not queue.put(request("a"))
    assert queue.put(request("b"))
    queue.release(held)
    assert queue.put(request("a"))
