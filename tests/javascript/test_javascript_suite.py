"""The package's own suite, run by Node."""

from __future__ import annotations

import re

import pytest

from fixtures.node import built_package, run


@pytest.mark.timeout(240)
def test_the_suite_of_the_package_passes_and_skips_nothing() -> None:
    said = run(["npm", "test"], built_package(), timeout_s=200)

    counts = dict(re.findall(r"^(?:ℹ|#) (\w+) (\d+)$", said, re.MULTILINE))
    assert counts["fail"] == counts["skipped"] == counts["todo"] == counts["cancelled"] == "0"
    assert int(counts["pass"]) >= 150
