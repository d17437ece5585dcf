"""The judges' settings: from variables, checked when a process starts."""

from __future__ import annotations

import pytest

from phospho_schemas.settings import BadSetting, load
from phospho_workers.judging.settings import JudgeSettings

GOOD = {"PHOSPHO_LLM_BASE_URL": "http://127.0.0.1:1/v1/", "PHOSPHO_LLM_MODEL": "m"}


def test_judge_settings_have_no_judge_without_variables() -> None:
    assert not load(JudgeSettings, {}).is_configured


def test_judge_settings_take_the_llm_and_its_prices() -> None:
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
def test_judge_settings_name_a_bad_variable_and_hide_the_key(name: str, value: str) -> None:
    with pytest.raises(BadSetting, match=name) as refused:
        load(JudgeSettings, GOOD | {"PHOSPHO_ENCODER_DIR": "/models/mini"} | {name: value})
    assert "sk-" not in str(refused.value)
