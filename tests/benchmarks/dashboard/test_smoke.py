"""The benchmark of the pages asks every one of them; how fast they were is not tested."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.dashboard.__main__ import measured, table


@pytest.mark.chaos
@pytest.mark.timeout(180)
def test_every_page_is_measured_with_its_queries(tmp_path: Path) -> None:
    report = measured(tmp_path / "clickhouse", tasks=3000, rounds=1, periods=["all"])
    for page in report["pages"]:
        assert 0 < page["p50_s"] <= page["p95_s"]
        assert page["rows_read"] >= max(query["rows_read"] for query in page["queries"]) > 0
        assert all(query["p50_s"] > 0 for query in page["queries"])
    assert len(list(table(report["pages"]))) > len(report["pages"])
    assert next(t for t in report["tables"] if t["table"] == "task_rows")["rows"] >= 3000
