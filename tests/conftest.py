"""
For all tests: where PHOSPHO_NO_SKIPS is set, as in CI, what would be skipped fails, save for want of shared data.

Hypothesis has no deadline: on a busy machine it would be a timed test. With several workers (`-n`) a file goes to one
of them as a whole, and a folder does where its files share a server or a build.
"""

from __future__ import annotations

import os
from collections.abc import Generator
from pathlib import Path

import hypothesis
import pytest

_MAY_BE_MISSING = "shared/data"

hypothesis.settings.register_profile("phospho", deadline=None)
hypothesis.settings.load_profile("phospho")

_SHARED = ("browser", "e2e", "e2e/legacy", "javascript")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        path = item.path.relative_to(Path(__file__).parent)
        folder = path.parent.as_posix()
        item.add_marker(pytest.mark.xdist_group(folder if folder in _SHARED else path.as_posix()))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.skipped and os.environ.get("PHOSPHO_NO_SKIPS") and _MAY_BE_MISSING not in str(report.longrepr):
        report.outcome = "failed"
        report.longrepr = f"skipped, and nothing may be skipped here: {report.longrepr}"
    return report
