"""The short forms of `make fuzz`."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import httpx
import pytest
from confluent_kafka import Producer

from chaos.fuzz import run
from chaos.fuzz_inputs import PROJECT_ID, Body, bodies, raw_records, row_records
from chaos.outcome import ledger_totals
from fixtures.server_process import answers
from fixtures.shapes import OnKafka
from fixtures.waiting import wait_until

_INPUTS = 10_000


def test_fuzzed_inputs_are_all_accounted_for(tmp_path: Path, own_engine: None) -> None:
    outcome = run(tmp_path, number_of_bodies=1_000, number_of_records=1_000, seed=3)

    assert outcome.problems() == []
    assert outcome.answers.total() == outcome.records["raw logs"] + outcome.records["for the sink alone"] == 1_000


def test_fuzzer_repeats_the_inputs_of_a_seed() -> None:
    for inputs in (bodies, raw_records, row_records):
        first, second, other = (list(itertools.islice(inputs(seed), 50)) for seed in (1, 1, 2))
        assert first == second != other


@pytest.mark.chaos
@pytest.mark.kafka
@pytest.mark.timeout(900)
def test_fuzzed_cluster_stops_no_worker_and_no_partition(tmp_path: Path) -> None:
    with OnKafka(tmp_path) as cluster:
        shape = cluster.of_project(PROJECT_ID)
        with httpx.Client(base_url=shape.base_url, timeout=60) as client, ThreadPoolExecutor(4) as threads:
            inputs = itertools.islice(bodies(5), _INPUTS)
            statuses = list(threads.map(lambda body: _post(client, shape.api_key, body), inputs))
        producer = Producer({"bootstrap.servers": shape.kafka.bootstrap_servers, "acks": "all"})
        for record in itertools.chain(
            *(itertools.islice(make(5), _INPUTS // 2) for make in (raw_records, row_records))
        ):
            producer.produce(record.topic, record.value, record.key, headers=list(record.headers))
            producer.poll(0)
        wait_until(lambda: producer.flush(1) == 0, "Kafka takes no more records", progress=lambda: len(producer))
        # The sink bisects refused rows for as long as the machine takes, and logs each.
        shape.settle(progress=shape.workers["sink"].log_bytes)

        assert max(statuses) < 500
        for name, worker in shape.workers.items():
            wait_until(partial(answers, worker.url("/readyz")), f"{name} is not ready")
        ledger = ledger_totals(shape)
        assert ledger["received"] >= _INPUTS * 0.9
        assert (ledger["pending"], ledger["missing"]) == (0, 0)


def _post(client: httpx.Client, api_key: str, body: Body) -> int:
    headers = {"Authorization": f"Bearer {api_key}", "Content-Type": body.content_type}
    headers |= {"Content-Encoding": body.encoding} if body.encoding else {}
    return client.post(body.path, content=body.content, headers=headers).status_code
