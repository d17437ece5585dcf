"""
The encoder judge: any ONNX sentence encoder or cross-encoder in a folder.

The folder has `model.onnx` and `tokenizer.json`, as they are exported for sentence-transformers. The kind of the model
is told by its output for one pair. A number is that of a cross-encoder: how well the text fits the description.
Vectors are those of a sentence encoder; vectors of pieces are averaged first. Its score is the margin over the rivals
of a definition, as the semantic engine has it: a fixed cosine was wrong more often than the engine that asked.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phospho_schemas.settings import BadSetting
from phospho_workers.detection.semantic.library import description_core
from phospho_workers.detection.semantic.rivalry import Margins
from phospho_workers.detection.text.embedding import Vectors, directions
from phospho_workers.judging.settings import EncoderSettings

MODEL_FILE = "model.onnx"
TOKENIZER_FILE = "tokenizer.json"
_MAX_PIECES = 256
_TEXTS_AT_ONCE = 32
_MAX_CHARACTERS = 8_000
# A logit of 0; the cosine without rivals, and the margin over many; the number of rivals half-way between them.
# Measured with all-MiniLM-L6-v2 on five sets: see docs/detection.md.
_CROSS_THRESHOLD = 0.5
_COSINE_THRESHOLD = 0.4
_MARGIN_THRESHOLD = 0.2
_RIVALS_OF_HALF = 6
_INPUTS = ("input_ids", "attention_mask", "token_type_ids")

Array = NDArray[np.float64]


class Encoder:
    """
    Score pairs of a description and a text, in [0, 1]; from its threshold on it confirms. Thread-safe, blocking.

    Needs onnxruntime. Raises BadSetting if that is missing or the folder is invalid.
    """

    def __init__(self, settings: EncoderSettings) -> None:
        self.model = settings.folder.name
        self._tokenizer = _tokenizer(settings)
        self._session = _session(settings)
        self._inputs = [model_input.name for model_input in self._session.get_inputs()]
        if unknown := set(self._inputs) - set(_INPUTS):
            raise BadSetting(f"{MODEL_FILE} reads {', '.join(sorted(unknown))}; known are {', '.join(_INPUTS)}")
        self._is_cross = self._run([("a", "b")])[0].shape[1:] == (1,)
        self._threshold = settings.threshold

    def threshold(self, rival_count: int) -> float:
        """Return the score from which a definition with so many rivals is confirmed."""
        if self._threshold is not None:
            return self._threshold
        if self._is_cross:
            return _CROSS_THRESHOLD
        share = rival_count / (rival_count + _RIVALS_OF_HALF)
        return _COSINE_THRESHOLD + share * (_MARGIN_THRESHOLD - _COSINE_THRESHOLD)

    def scores(self, pairs: Sequence[tuple[str, str]], rivals: Sequence[str] = ()) -> list[float]:
        """Return the score of each pair of a description and a text, against rivals, with or without its own."""
        if not pairs:
            return []
        shortened = [(description, text[:_MAX_CHARACTERS]) for description, text in pairs]
        scores = self._pair_scores(shortened) if self._is_cross else self._margins(shortened, rivals)
        return [float(score) for score in np.clip(np.nan_to_num(scores), 0.0, 1.0)]

    def _pair_scores(self, pairs: Sequence[tuple[str, str]]) -> Array:
        logits, _ = self._run(pairs)
        return np.asarray(1.0 / (1.0 + np.exp(-np.clip(logits[:, 0], -50.0, 50.0))))

    def _margins(self, pairs: Sequence[tuple[str, str]], rivals: Sequence[str]) -> Array:
        """Return the margin of each pair; a description that is no rival of the others is weighed by itself."""
        rows = _numbered([text for _, text in pairs])
        texts = self._directions(list(rows))
        margins = self._margins_of(list(_numbered(rivals)), texts) if rivals else {}
        for description in _numbered(description for description, _ in pairs):
            if description not in margins:
                margins[description] = self._margins_of([description, *_numbered(rivals)], texts)[description]
        return np.array([margins[description][rows[text]] for description, text in pairs])

    def _margins_of(self, descriptions: Sequence[str], texts: Vectors) -> dict[str, Array]:
        cores = self._directions([description_core(description) for description in descriptions])
        return dict(zip(descriptions, Margins(cores).of(texts).T, strict=True))

    def _directions(self, texts: Sequence[str]) -> Vectors:
        parts = [texts[begin : begin + _TEXTS_AT_ONCE] for begin in range(0, len(texts), _TEXTS_AT_ONCE)]
        return directions(np.vstack([_pooled(*self._run(part)) for part in parts]))

    def _run(self, texts: Sequence[str] | Sequence[tuple[str, str]]) -> tuple[Array, Array]:
        """Return the model's first output and the mask of the pieces that are no padding."""
        encodings = self._tokenizer.encode_batch(list(texts))
        inputs = {
            "input_ids": np.array([encoding.ids for encoding in encodings], dtype=np.int64),
            "attention_mask": np.array([encoding.attention_mask for encoding in encodings], dtype=np.int64),
            "token_type_ids": np.array([encoding.type_ids for encoding in encodings], dtype=np.int64),
        }
        output = self._session.run(None, {name: inputs[name] for name in self._inputs})[0]
        return np.asarray(output, dtype=np.float64), inputs["attention_mask"].astype(np.float64)


def _numbered(texts: Iterable[str]) -> dict[str, int]:
    return {text: number for number, text in enumerate(dict.fromkeys(texts))}


def _pooled(output: Array, mask: Array) -> Array:
    """Return a unit vector for each text, from one vector a text or one a piece; zeros where there are no pieces."""
    if output.ndim == 3:
        output = (output * mask[:, :, None]).sum(axis=1) / np.maximum(mask.sum(axis=1), 1.0)[:, None]
    lengths = np.sqrt((output**2).sum(axis=1, keepdims=True))
    return np.asarray(output / np.where(lengths == 0.0, 1.0, lengths))


def _tokenizer(settings: EncoderSettings) -> Any:
    from tokenizers import Tokenizer

    path = settings.folder / TOKENIZER_FILE
    if not path.is_file():
        raise BadSetting(f"PHOSPHO_ENCODER_DIR={settings.folder} has no {TOKENIZER_FILE}")
    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.enable_truncation(_MAX_PIECES)
    if tokenizer.padding is None:
        tokenizer.enable_padding()
    return tokenizer


def _session(settings: EncoderSettings) -> Any:
    try:
        import onnxruntime
    except ImportError:
        raise BadSetting("PHOSPHO_ENCODER_DIR needs onnxruntime: pip install onnxruntime") from None
    path = settings.folder / MODEL_FILE
    if not path.is_file():
        raise BadSetting(f"PHOSPHO_ENCODER_DIR={settings.folder} has no {MODEL_FILE}")
    try:
        return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    except Exception as error:
        # onnxruntime's exceptions have no base class of their own.
        raise BadSetting(f"{path} can't be read: {type(error).__name__}") from error
