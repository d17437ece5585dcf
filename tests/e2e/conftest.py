"""Both shapes of the system, with real conversations (all of them in `make chaos`), shared by this folder."""

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
from fixtures.shapes import OneProcess

CONVERSATION_LOGS = 19_384
DEFINITIONS = Path(__file__).parents[1] / "data/definitions.yaml"


@pytest.fixture(scope="session")
def conversations(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first logs of the real conversations, where ../shared/data is beside the project, else made-up ones."""
    path = tmp_path_factory.mktemp("conversations") / "conversations.jsonl.gz"
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.writelines(itertools.islice(_all_conversations(), examples(80)))
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


@pytest.fixture(scope="package")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OneProcess]:
    """`phospho up`, for all tests of this folder that need no settings of their own. Most have a project in it."""
    with OneProcess(tmp_path_factory.mktemp("one-process"), {"PHOSPHO_WEBHOOK_ALLOWED_NETWORKS": "127.0.0.0/8"}) as up:
        yield up


@pytest.fixture(scope="package")
def one_process(up: OneProcess, conversations: Path) -> OneProcess:
    """The first project of `phospho up` with the definitions applied and the conversations imported."""
    # The cluster runs no jobs, so that its tasks get no themes.
    up.phospho("projects", "settings", up.project_id, "detect_themes=false")
    up.phospho("definitions", "apply", str(DEFINITIONS))
    up.phospho("import", str(conversations))
    return up
