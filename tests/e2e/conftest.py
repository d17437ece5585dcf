"""Both shapes of the system with real conversations, shared by the tests of this folder."""

from __future__ import annotations

import gzip
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from benchmarks.conversations import CONVERSATIONS, logs
from fixtures.expected import Expected
from fixtures.shapes import OneProcess, OnKafka

DEFINITIONS = Path(__file__).parents[1] / "data/definitions.yaml"


@pytest.fixture(scope="session")
def conversations(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Real conversations, where ../shared/data is beside the project (they are not ours to copy), else made-up ones."""
    if CONVERSATIONS.exists():
        return CONVERSATIONS
    path = tmp_path_factory.mktemp("made-up") / "conversations.jsonl.gz"
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.writelines(orjson.dumps(log) + b"\n" for log in logs(19_384, "made-up"))
    return path


@pytest.fixture(scope="session")
def expected(conversations: Path) -> Expected:
    """Return the counts that the file itself has."""
    with gzip.open(conversations) as file:
        logged = [orjson.loads(line) for line in file]
    flags = Counter(log["flag"] for log in logged if log.get("flag"))
    return Expected(len({log["session_id"] for log in logged}), len({log["task_id"] for log in logged}), flags)


@pytest.fixture(scope="session")
def one_process(tmp_path_factory: pytest.TempPathFactory, conversations: Path) -> Iterator[OneProcess]:
    """`phospho up` with the definitions applied and the conversations imported."""
    with OneProcess(tmp_path_factory.mktemp("one-process")) as shape:
        shape.phospho("definitions", "apply", str(DEFINITIONS))
        shape.phospho("import", str(conversations))
        yield shape


@pytest.fixture(scope="session")
def on_kafka(tmp_path_factory: pytest.TempPathFactory, conversations: Path) -> Iterator[OnKafka]:
    """The workers on Kafka with the definitions applied and the conversations imported."""
    with OnKafka(tmp_path_factory.mktemp("on-kafka")) as shape:
        shape.phospho("definitions", "apply", str(DEFINITIONS))
        shape.phospho("import", str(conversations))
        shape.settle()
        yield shape
