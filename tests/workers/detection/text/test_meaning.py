"""Codes of texts are alike where the texts are, and find what the embeddings rank first."""

from __future__ import annotations

import pytest

from phospho_schemas.messages import AnalysisRow, Meaning
from phospho_workers.detection.detect import analyse
from phospho_workers.detection.text.meaning import NO_MEANING, codes, similarities
from workers.detection.tasks import task

TEXTS = ["I want my money back", "please refund my order", "turn off the lights in the kitchen", "", "\n"]


def distance(first: Meaning, second: Meaning) -> int:
    return sum((left ^ right).bit_count() for left, right in zip(first, second, strict=True))


def test_codes_of_similar_texts_differ_in_few_bits() -> None:
    refund, order, lights, *wordless = codes(TEXTS)
    assert distance(refund, order) < distance(refund, lights)
    assert wordless == [NO_MEANING] * 2
    assert codes(["I want my money back"]) == [refund]
    assert codes([]) == []


def test_similarities_rank_texts() -> None:
    same, order, lights, *wordless = similarities("I want my money back", TEXTS)
    assert same == pytest.approx(1.0, abs=1e-3)
    assert order > lights
    assert wordless == [0.0, 0.0]
    assert similarities("I want my money back", []) == []


def test_analysis_has_the_meaning_of_its_input() -> None:
    rows = analyse([task("please refund my order", "turn off the lights")], {})
    assert [row["meaning"] for row in rows] == codes(["please refund my order"])
    assert AnalysisRow.model_validate(rows[0]).meaning == rows[0]["meaning"]
