"""Masking: what the rules replace, what they leave, and what happens where a function fails."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

import pytest

from phospho_schemas.shapes.masking import FAILED, RULES, mask_of, masked_log

# The cases that both SDKs are held to.
CASES = json.loads((Path(__file__).parents[1] / "contract/masking.json").read_text("utf-8"))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["text"][:30])
def test_rule_masks_what_it_names_and_nothing_else(case: dict[str, str]) -> None:
    assert mask_of(list(RULES))(case["text"]) == case["masked"]


def test_log_keeps_its_ids_and_keys() -> None:
    log = {"user_id": "ann@x.org", "input": {"ann@x.org": ["ann@x.org", 3, None]}, "metadata": {"mail": "ann@x.org"}}
    assert masked_log(log, mask_of(["email"])) == {
        "user_id": "ann@x.org",
        "input": {"ann@x.org": ["<email>", 3, None]},
        "metadata": {"mail": "<email>"},
    }


def test_rules_are_patterns_and_functions_in_their_order() -> None:
    mask = mask_of([re.compile(r"secret \d+"), str.upper])
    assert mask("a secret 42") == "A <MASKED>"


def test_text_is_dropped_where_a_function_fails() -> None:
    assert masked_log({"input": "my card"}, mask_of([lambda text: text[1_000]])) == {"input": FAILED}
    assert masked_log({"input": "my card"}, mask_of([lambda text: None])) == {"input": FAILED}


def test_unknown_rule_is_refused() -> None:
    with pytest.raises(ValueError, match="'mail' is no rule"):
        mask_of(["mail"])


@pytest.mark.parametrize("text", ["a" * 200_000, "1" * 200_000, "a.a@" * 50_000, "0 " * 100_000, "AA00 " * 40_000])
def test_rules_are_linear_in_hostile_texts(text: str) -> None:
    """Quadratic ones would take minutes."""
    begun_s = time.process_time()
    mask_of(list(RULES))(text)
    assert time.process_time() - begun_s < 20
