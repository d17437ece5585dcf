"""The least that any program must do: post the lines of a topic, which it holds in memory, to a table."""

from __future__ import annotations

import argparse
import base64
import hashlib
import http.client
import sys
import time
from collections.abc import Iterator
from urllib.parse import urlencode, urlsplit

import orjson
from confluent_kafka import Consumer, TopicPartition

from phospho_store.store import INSERT_SETTINGS


def main() -> None:
    """Read the topic, say `ready`, wait for a line, insert, and print rows and seconds."""
    options = _options()
    batches = list(_batches(options))
    target = urlsplit(options.clickhouse)
    connection = http.client.HTTPConnection(target.hostname or "", target.port, timeout=60)
    secret = base64.b64encode(f"{target.username}:{target.password}".encode()).decode()
    headers = {"Authorization": f"Basic {secret}"}
    print("ready", flush=True)
    sys.stdin.readline()
    began_s, began_cpu_s = time.monotonic(), time.process_time()
    rows = 0
    for lines in batches:
        _insert(connection, headers, options.table, lines)
        rows += len(lines)
    result = {"rows": rows, "wall_s": time.monotonic() - began_s, "cpu_s": time.process_time() - began_cpu_s}
    print(orjson.dumps(result).decode(), flush=True)


def _insert(connection: http.client.HTTPConnection, headers: dict[str, str], table: str, lines: list[bytes]) -> None:
    body = b"\n".join(lines)
    query = {"query": f"INSERT INTO {table} FORMAT JSONEachRow", "database": "phospho"} | dict(INSERT_SETTINGS)
    query["insert_deduplication_token"] = hashlib.blake2b(body, digest_size=16).hexdigest()
    connection.request("POST", "/?" + urlencode(query), body, headers)
    answer = connection.getresponse()
    if answer.status != 200:
        raise RuntimeError(f"{answer.status}: {answer.read()[:500]!r}")
    answer.read()


def _batches(options: argparse.Namespace) -> Iterator[list[bytes]]:
    """Yield the lines of each partition, `--batch-rows` at a time."""
    consumer = Consumer({"bootstrap.servers": options.kafka, "group.id": "bench-rows", "enable.auto.commit": False})
    for partition in consumer.list_topics(options.topic, 30).topics[options.topic].partitions:
        lines = _lines(consumer, options.topic, partition)
        for begin in range(0, len(lines), options.batch_rows):
            yield lines[begin : begin + options.batch_rows]
    consumer.close()


def _lines(consumer: Consumer, topic: str, partition: int) -> list[bytes]:
    begin, end = consumer.get_watermark_offsets(TopicPartition(topic, partition), 30)
    consumer.assign([TopicPartition(topic, partition, begin)])
    lines: list[bytes] = []
    while len(lines) < end - begin:
        lines += [message.value() or b"" for message in consumer.consume(10_000, 1.0) if message.error() is None]
    return lines


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Insert the lines of a topic.")
    for name in ("kafka", "clickhouse", "topic", "table"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--batch-rows", type=int, required=True)
    return parser.parse_args()


if __name__ == "__main__":
    main()
