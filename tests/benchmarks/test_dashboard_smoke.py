"""The benchmark of the pages asks every one of them; how fast they were is not tested."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.dashboard import AIMS_S, measured, table


@pytest.mark.timeout(180)
def test_every_page_is_measured_with_its_queries_for_each_period(tmp_path: Path) -> None:
    report = measured(tmp_path / "clickhouse", tasks=3000, rounds=1)
    assert {page["period"] for page in report["pages"]} == set(AIMS_S)
    for page in report["pages"]:
        assert 0 < page["p50_s"] <= page["p95_s"]
        assert page["rows_read"] == sum(query["rows_read"] for query in page["queries"])
        assert page["rows_read"] > 0
    assert len(list(table(report["pages"]))) > len(report["pages"])
    assert next(t for t in report["tables"] if t["table"] == "task_rows")["rows"] >= 3000
