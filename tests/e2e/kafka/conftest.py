"""A cluster on Kafka, shared by the tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from e2e.conftest import DEFINITIONS
from fixtures.providers.span_receiver import SpanReceiver
from fixtures.served import served
from fixtures.shapes import OnKafka


@pytest.fixture(scope="package")
def spans() -> SpanReceiver:
    """The spans of the cluster's processes."""
    return SpanReceiver()


@pytest.fixture(scope="package")
def cluster(tmp_path_factory: pytest.TempPathFactory, spans: SpanReceiver) -> Iterator[OnKafka]:
    """The workers on Kafka, for all tests of this folder. Most have a project of their own in it."""
    with served(spans) as url:
        environment = {
            # A topic grows in one of the tests.
            "PHOSPHO_KAFKA_TOPIC_METADATA_REFRESH_INTERVAL_MS": "1000",
            "PHOSPHO_TRACES_ENDPOINT": f"{url}/v1/traces",
            "PHOSPHO_TRACES_SAMPLED_SHARE": "1",
            "OTEL_BSP_SCHEDULE_DELAY": "200",
        }
        yield from _cluster(tmp_path_factory, environment)


def _cluster(tmp_path_factory: pytest.TempPathFactory, environment: Mapping[str, str]) -> Iterator[OnKafka]:
    with OnKafka(tmp_path_factory.mktemp("on-kafka"), environment) as shape:
        yield shape


@pytest.fixture(scope="package")
def on_kafka(cluster: OnKafka, conversations: Path) -> OnKafka:
    """The cluster's first project with the definitions applied and the conversations imported."""
    cluster.apply_definitions(DEFINITIONS)
    cluster.phospho("import", str(conversations))
    cluster.settle()
    return cluster


_LAST_FILES = ["test_large_tasks.py", "test_short_chaos.py", "test_failures.py"]


def _position(item: pytest.Item) -> int:
    return _LAST_FILES.index(item.path.name) if item.path.name in _LAST_FILES else -1


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run large tasks and failures last in this folder: a replay would read their large and bad records again."""
    here = [number for number, item in enumerate(items) if Path(__file__).parent in item.path.parents]
    ordered = sorted((items[number] for number in here), key=_position)
    for number, item in zip(here, ordered, strict=True):
        items[number] = item
