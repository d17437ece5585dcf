"""
For all tests: where PHOSPHO_NO_SKIPS is set, as in CI, what would be skipped fails, save for want of shared data.

Hypothesis has no deadline: on a busy machine it would be a timed test. It draws few examples; `make chaos` asks for
the profile that draws many. With several workers (`-n`) a file goes to one of them as a whole, and so does a folder
whose files share servers. A build that processes share is made under a lock.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from xdist.scheduler import LoadFileScheduling

from fixtures.shared_store import SharedStore
from phospho_store.migrations import migrate
from phospho_store.store import Store, embedded

_MAY_BE_MISSING = "shared/data"
# The longest first: what starts last would keep one worker busy after all others have ended.
_FOLDERS_WITH_SERVERS = ("tests/e2e/kafka", "tests/browser", "tests/e2e", "tests/javascript")

hypothesis.settings.register_profile("test", deadline=None, max_examples=25)
hypothesis.settings.register_profile("chaos", deadline=None, max_examples=1_000)
hypothesis.settings.load_profile("test")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.skipped and os.environ.get("PHOSPHO_NO_SKIPS") and _MAY_BE_MISSING not in str(report.longrepr):
        report.outcome = "failed"
        report.longrepr = f"skipped, and nothing may be skipped here: {report.longrepr}"
    return report


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadFileScheduling:
    """Schedule files, and as one the files of a folder whose servers start once a process."""
    return _FolderScheduling(config, log)


class _FolderScheduling(LoadFileScheduling):
    def _split_scope(self, nodeid: str) -> str:
        rank = _folder_rank(nodeid)
        return _FOLDERS_WITH_SERVERS[rank] if rank < len(_FOLDERS_WITH_SERVERS) else super()._split_scope(nodeid)


def _folder_rank(nodeid: str) -> int:
    ranks = (rank for rank, folder in enumerate(_FOLDERS_WITH_SERVERS) if nodeid.startswith(f"{folder}/"))
    return next(ranks, len(_FOLDERS_WITH_SERVERS))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the folders that have servers."""
    items.sort(key=lambda item: _folder_rank(item.nodeid))


def pytest_collection_finish() -> None:
    """Keep the collected tests out of garbage collections, each of which would go through all of them."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="module", autouse=True)
def _collect_garbage() -> Iterator[None]:
    """Have an unclosed socket or file fail the module that left it open, and not a later one."""
    yield
    gc.collect()


@pytest.fixture(scope="session")
def shared_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SharedStore]:
    shared_store = SharedStore(tmp_path_factory.mktemp("shared") / "store")
    yield shared_store
    shared_store.close()


@pytest.fixture(scope="module")
def store(shared_store: SharedStore) -> Iterator[Store]:
    """An embedded store with every table, empty when a module of tests begins."""
    yield shared_store.opened()
    shared_store.empty()


@pytest.fixture(scope="session")
def migrated_folder(shared_store: SharedStore, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an empty store with every table: to copy and open it takes a third of migrating."""
    shared_store.close()
    folder = tmp_path_factory.mktemp("migrated") / "store"
    store = embedded(str(folder))
    list(migrate(store))
    store.close()
    return folder


@pytest.fixture(scope="module")
def own_engine(shared_store: SharedStore) -> None:
    """Let a module open an embedded engine itself: chDB opens one folder a process."""
    shared_store.close()
