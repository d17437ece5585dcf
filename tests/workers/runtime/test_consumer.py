"""Batches of the consumer, which are bounded in bytes."""

from __future__ import annotations

import pytest

from phospho_workers.runtime.consumer import BatchConsumer
from workers.runtime.kafka_fakes import FakeMessage


class QueuedConsumer:
    """Consumer that returns queued records."""

    def __init__(self, sizes: list[int]) -> None:
        values = {size: b"x" * size for size in set(sizes)}
        self.queued = [FakeMessage("phospho.tasks", 0, offset, values[size]) for offset, size in enumerate(sizes)]
        self.chunk_sizes: list[int] = []

    def consume(self, number: int, timeout: float) -> list[FakeMessage]:
        self.chunk_sizes.append(number)
        chunk, self.queued = self.queued[:number], self.queued[number:]
        return chunk


def consumer_of(sizes: list[int], max_batch_bytes: int) -> BatchConsumer:
    consumer = BatchConsumer.__new__(BatchConsumer)
    consumer.consumer = QueuedConsumer(sizes)
    consumer.max_batch_bytes = max_batch_bytes
    consumer.linger_s = 5.0
    return consumer


@pytest.mark.parametrize("size", [1, 900, 100_000, 5_000_000])
def test_batch_of_equal_records_stays_within_its_bytes(size: int) -> None:
    consumer = consumer_of([size] * 2250, 32_000_000)

    batches = [consumer._batch(0.0, 50_000) for _ in range(3)]

    for batch in batches:
        assert sum(len(message.value() or b"") for message in batch) <= 32_000_000
    offsets = [message.offset() for batch in batches for message in batch]
    assert offsets == list(range(len(offsets)))


def test_batch_takes_large_records_one_by_one() -> None:
    consumer = consumer_of([40_000_000, 40_000_000], 32_000_000)

    assert [len(consumer._batch(0.0, 100)) for _ in range(3)] == [1, 1, 0]


def test_batch_of_small_records_is_read_in_large_chunks() -> None:
    consumer = consumer_of([500] * 20_000, 32_000_000)

    assert len(consumer._batch(0.0, 20_000)) == 20_000
    assert len(consumer.consumer.chunk_sizes) < 30


def test_batch_remembers_that_records_were_large() -> None:
    """A small first record does not make the next chunk large."""
    consumer = consumer_of([100_000] * 320 + [100] + [100_000] * 2000, 32_000_000)
    consumer._batch(0.0, 50_000)

    batch = consumer._batch(0.0, 50_000)

    assert sum(len(message.value() or b"") for message in batch) <= 33_000_000
