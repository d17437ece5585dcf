"""Any ONNX encoder in a folder scores pairs; what is wrong with a folder is said."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from phospho_schemas.settings import BadSetting
from phospho_workers.judging.encoder import Encoder
from phospho_workers.judging.settings import EncoderSettings
from workers.judging.tiny_model import cross_encoder, sentence_encoder, tokenizer


def encoder(folder: Path, threshold: float | None = None) -> Encoder:
    return Encoder(EncoderSettings(folder, threshold))


@pytest.mark.parametrize("make", [sentence_encoder, cross_encoder])
def test_encoder_scores_fitting_text_above_threshold(tmp_path: Path, make: Callable[[Path], Path]) -> None:
    judge = encoder(make(tmp_path / "tiny"))
    fits, does_not = judge.scores([("refund", "money back"), ("refund", "rain")])
    assert 0 <= does_not < judge.threshold(0) < fits <= 1
    assert judge.model == "tiny"


@pytest.mark.parametrize("make", [sentence_encoder, cross_encoder])
def test_a_pair_scores_the_same_alone_and_among_others(tmp_path: Path, make: Callable[[Path], Path]) -> None:
    judge = encoder(make(tmp_path))
    pairs = [("refund", "money"), ("weather", "hello rain rain rain"), ("refund", ""), ("", "\x00 字")]
    assert judge.scores(pairs) == pytest.approx([judge.scores([pair])[0] for pair in pairs], abs=1e-6)
    assert judge.scores([]) == []


def test_rivals_take_from_what_they_explain_better(tmp_path: Path) -> None:
    judge = encoder(sentence_encoder(tmp_path))
    pair = ("refund weather", "rain rain")
    [alone], [beside] = judge.scores([pair]), judge.scores([pair], [pair[0], "weather"])
    assert beside < alone - 0.05
    assert judge.threshold(30) < judge.threshold(1) < judge.threshold(0)


def test_a_huge_text_is_read_within_bounds(tmp_path: Path) -> None:
    [score] = encoder(sentence_encoder(tmp_path)).scores([("refund", "money " * 1_000_000)])
    assert score > 0.9


def test_the_threshold_can_be_given(tmp_path: Path) -> None:
    assert encoder(sentence_encoder(tmp_path), 0.9).threshold(20) == 0.9


def test_a_folder_that_is_not_a_model_is_refused_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(BadSetting, match=r"no tokenizer\.json"):
        encoder(tmp_path)
    tokenizer(tmp_path)
    with pytest.raises(BadSetting, match=r"no model\.onnx"):
        encoder(tmp_path)
    (tmp_path / "model.onnx").write_bytes(b"not a model")
    with pytest.raises(BadSetting, match="can't be read"):
        encoder(tmp_path)
    with pytest.raises(BadSetting, match="pixel_values"):
        encoder(sentence_encoder(tmp_path / "eye", "pixel_values"))
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(BadSetting, match="pip install onnxruntime"):
        encoder(sentence_encoder(tmp_path / "good"))
