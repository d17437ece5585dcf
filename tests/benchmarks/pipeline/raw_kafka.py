"""The least that any program must do: consume messages and produce the same bytes, confirmed, then commit."""

from __future__ import annotations

import argparse
import sys
import time

import orjson
from confluent_kafka import Consumer, Producer, TopicPartition

from phospho_schemas.kafka import KafkaSettings
from phospho_workers.runtime.producer import producer_config

_BATCH = 5000


def main() -> None:
    """Say `ready`, wait for a line, copy one topic, and print messages and seconds from first to last commit."""
    options = _options()
    consumer = Consumer(
        {
            "bootstrap.servers": options.kafka,
            "group.id": options.group,
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
        }
    )
    producer = Producer(producer_config(KafkaSettings(options.kafka)))
    partitions = consumer.list_topics(options.source, 30).topics[options.source].partitions
    bounds = {p: consumer.get_watermark_offsets(TopicPartition(options.source, p), 30) for p in partitions}
    wanted = sum(end - begin for begin, end in bounds.values())
    print("ready", flush=True)
    sys.stdin.readline()
    consumer.assign([TopicPartition(options.source, p, begin) for p, (begin, _) in bounds.items()])
    first = done = _copy_batch(consumer, producer, options)
    first_s, first_cpu_s = time.monotonic(), time.process_time()
    while done < wanted:
        done += _copy_batch(consumer, producer, options)
    result = {
        "messages": done - first,
        "wall_s": time.monotonic() - first_s,
        "cpu_s": time.process_time() - first_cpu_s,
    }
    print(orjson.dumps(result).decode(), flush=True)
    consumer.close()


def _copy_batch(consumer: Consumer, producer: Producer, options: argparse.Namespace) -> int:
    """Copy and commit up to 5000 messages; return how many."""
    messages = consumer.consume(_BATCH, 0.5)
    ends: dict[int, int] = {}
    for message in messages:
        producer.produce(options.target, message.value(), message.key())
        ends[message.partition() or 0] = (message.offset() or 0) + 1
    if not messages:
        return 0
    if producer.flush(60.0):
        raise RuntimeError("not every message was confirmed")
    consumer.commit(offsets=[TopicPartition(options.source, p, end) for p, end in ends.items()], asynchronous=False)
    return len(messages)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Copy a topic.")
    for name in ("kafka", "source", "target", "group"):
        parser.add_argument(f"--{name}", required=True)
    return parser.parse_args()


if __name__ == "__main__":
    main()
