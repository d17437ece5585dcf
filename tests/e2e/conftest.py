"""The two shapes with real conversations in them, shared by the tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fixtures.shapes import OneProcess, OnKafka

ROOT = Path(__file__).parents[2]
DEFINITIONS = ROOT / "tests/data/definitions.yaml"


@pytest.fixture(scope="session")
def conversations() -> Path:
    """The file of real conversations; it is not ours to copy, so it lies beside the project."""
    path = ROOT.parent / "shared/data/sgd-dev.jsonl.gz"
    if not path.exists():
        pytest.fail("the conversations are missing: they are expected in ../shared/data beside the project's folder")
    return path


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
