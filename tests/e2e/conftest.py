"""Both shapes of the system with real conversations, all of them in `make chaos`, shared by this folder."""

from __future__ import annotations

import gzip
import itertools
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from benchmarks.conversations import CONVERSATIONS, logs
from fixtures.examples import examples
from fixtures.expected import Expected
from fixtures.shapes import OneProcess, OnKafka

CONVERSATION_LOGS = 19_384
DEFINITIONS = Path(__file__).parents[1] / "data/definitions.yaml"


@pytest.fixture(scope="session")
def conversations(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first logs of the real conversations, where ../shared/data is beside the project, else made-up ones."""
    path = tmp_path_factory.mktemp("conversations") / "conversations.jsonl.gz"
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.writelines(itertools.islice(_all_conversations(), examples(100)))
    return path


def _all_conversations() -> Iterator[bytes]:
    """Yield lines. The real ones are not ours to copy into the project."""
    if not CONVERSATIONS.exists():
        yield from (orjson.dumps(log) + b"\n" for log in logs(CONVERSATION_LOGS, "made-up"))
        return
    with gzip.open(CONVERSATIONS) as file:
        yield from file


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
