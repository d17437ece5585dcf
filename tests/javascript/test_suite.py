"""The package's own tests, run by Node."""

from __future__ import annotations

import re

import pytest

from fixtures.node import built_package, run


@pytest.mark.timeout(240)
def test_package_suite_passes_and_skips_nothing() -> None:
    output = run(["npm", "test"], built_package(), timeout_s=200)

    counts = dict(re.findall(r"^(?:ℹ|#) (\w+) (\d+)$", output, re.MULTILINE))
    assert counts["fail"] == counts["skipped"] == counts["todo"] == counts["cancelled"] == "0"
    assert int(counts["pass"]) >= 150
