"""`phospho llm usage` says what was spent and what is left; bad variables end a process before it begins."""

from __future__ import annotations

import pytest

from cli.conftest import FakeServer, Run
from phospho_schemas.settings import BadSetting, load
from phospho_workers.judging.settings import JudgeSettings


def test_usage_is_a_table_and_today_a_line_beside_it(run: Run, server: FakeServer) -> None:
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
        "The server is left alone until 2026-01-01T12:05:00.000000Z.",
        "Nothing is learnt from what m says of refund: the model says yes.",
    ]


GOOD = {"PHOSPHO_LLM_BASE_URL": "http://127.0.0.1:1/v1/", "PHOSPHO_LLM_MODEL": "m"}


def test_without_variables_nobody_is_asked() -> None:
    assert not load(JudgeSettings, {}).is_configured


def test_variables_say_who_is_asked_and_at_what_price() -> None:
    prices = {"PHOSPHO_LLM_USD_PER_MILLION_TOKENS_IN": "0.5", "PHOSPHO_LLM_USD_PER_MILLION_TOKENS_OUT": "2"}
    llm = load(JudgeSettings, GOOD | prices | {"PHOSPHO_ENCODER_DIR": "/models/mini"}).llm
    assert llm is not None
    assert (llm.base_url, llm.usd(1_000_000, 500_000)) == ("http://127.0.0.1:1/v1", 1.5)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PHOSPHO_LLM_BASE_URL", "file:///etc/passwd"),
        ("PHOSPHO_LLM_BASE_URL", "127.0.0.1:8000"),
        ("PHOSPHO_LLM_MODEL", " "),
        ("PHOSPHO_LLM_API_KEY", "sk-\r\nX-Other: 1"),
        ("PHOSPHO_LLM_USD_PER_MILLION_TOKENS_IN", "cheap"),
        ("PHOSPHO_LLM_USD_PER_MILLION_TOKENS_OUT", "-1"),
        ("PHOSPHO_LLM_CONCURRENCY", "0"),
        ("PHOSPHO_LLM_TIMEOUT_S", "nan"),
        ("PHOSPHO_ENCODER_THRESHOLD", "2e9"),
    ],
)
def test_a_variable_that_can_not_be_used_is_named_and_a_key_is_not_shown(name: str, value: str) -> None:
    with pytest.raises(BadSetting, match=name) as refused:
        load(JudgeSettings, GOOD | {"PHOSPHO_ENCODER_DIR": "/models/mini"} | {name: value})
    assert "sk-" not in str(refused.value)
