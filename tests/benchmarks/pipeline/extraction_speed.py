"""
`python -m benchmarks.pipeline.extraction_speed`: how fast is extraction on one core, without Kafka?

Prints the CPU of a log in the best of some rounds, and a digest of the rows. To compare two commits, run it in a
checkout of each, in turns: equal digests are equal rows.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence

import orjson

from benchmarks.conversations import raw_messages, source_name
from benchmarks.sizes import PROJECT
from phospho_schemas.topics import RAW_LOGS
from phospho_workers.extraction.stage import Extraction
from phospho_workers.runtime.records import Record

_LOGS = 10_000
_BATCH_LOGS = 500
_ROUNDS = 6


def main() -> None:
    """Measure and print."""
    arrived_ms = time.time_ns() // 1_000_000
    messages = raw_messages(_LOGS, "speed", PROJECT)
    records = [Record(RAW_LOGS.name, 0, index, arrived_ms, *message) for index, message in enumerate(messages)]
    best_s = min(_seconds(records) for _ in range(_ROUNDS))
    print(f"{best_s / _LOGS * 1e6:.1f} µs a log, {_LOGS / best_s:,.0f} logs/s a core; {source_name()}")
    print(f"digest of the tasks, without revisions and times of arrival: {_digest(records)}")


def _seconds(records: Sequence[Record]) -> float:
    begun_s = time.process_time()
    _extract(records)
    return time.process_time() - begun_s


def _extract(records: Sequence[Record]) -> list[bytes]:
    stage, lines = Extraction(), []
    for begin in range(0, len(records), _BATCH_LOGS):
        output = stage(records[begin : begin + _BATCH_LOGS])
        lines += [message.value for messages in output.messages.values() for message in messages]
    return lines


def _digest(records: Sequence[Record]) -> str:
    """Return a digest of what doesn't depend on the time at which the messages were made."""
    digest = hashlib.blake2b(digest_size=8)
    for line in _extract(records):
        row = orjson.loads(line)
        digest.update(orjson.dumps({name: row[name] for name in row if name not in ("revision", "received_at")}))
    return digest.hexdigest()


if __name__ == "__main__":
    main()
