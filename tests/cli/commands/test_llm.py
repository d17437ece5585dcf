"""`phospho llm usage` shows the calls, tokens and money of each day, and the rest of today's budget."""

from __future__ import annotations

from cli.conftest import Run
from cli.fake_server import FakeServer


def test_llm_usage_prints_a_table_and_todays_budget(run: Run, server: FakeServer) -> None:
    done = run("llm", "usage", "--days", "30")
    assert done.exit_code == 0
    header, day = done.stdout.splitlines()
    assert dict(zip(header.split("\t"), day.split("\t"), strict=True)) | {"calls": "3"} == {
        "day": "2026-01-01",
        "model": "m",
        "calls": "3",
        "answered": "2",
        "no_answer": "0",
        "refused": "0",
        "failed": "1",
        "definitions": "9",
        "tokens_in": "1",
        "tokens_out": "2",
        "usd": "0.5",
    }
    assert done.stderr.splitlines() == [
        "Today: 1,100 of 5,000 tokens, $0.5000 of $2.00.",
        "The latest call (2026-01-01T12:00:00.000000Z, m) brought no judgement: HTTP 401.",
        "The server is not asked until 2026-01-01T12:05:00.000000Z.",
        "No classifier learns from the judgements of m on refund: the model says yes.",
    ]
