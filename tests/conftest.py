"""
For all tests: where PHOSPHO_NO_SKIPS is set, as in CI, what would be skipped fails, save for want of shared data.

Hypothesis has no deadline: on a busy machine it would be a timed test. It draws few examples; `make chaos` asks for
the profile that draws many. With several workers (`-n`) a file goes to one
of them as a whole (`--dist=loadfile`; the groups of xdist 3.8 are not seen by pytest 9.2). What files share and must
not make twice at once, a build or an environment, is made under a lock.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator

import hypothesis
import pytest

from phospho_store.migrations import migrate
from phospho_store.store import Store, embedded

_MAY_BE_MISSING = "shared/data"

hypothesis.settings.register_profile("test", deadline=None, max_examples=40)
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


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """A migrated embedded store for each module of tests; chDB opens one folder a process."""
    store = embedded(str(tmp_path_factory.mktemp("store")))
    list(migrate(store))
    yield store
    store.close()
