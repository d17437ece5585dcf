"""
The encoder judge: any ONNX sentence encoder or cross-encoder in a folder.

The folder has `model.onnx` and `tokenizer.json`, as they are exported for sentence-transformers. The kind of the model
is told by its output for one pair. A number is that of a cross-encoder: how well the text fits the description.
Vectors are those of a sentence encoder, whose score is a cosine; vectors of pieces are averaged first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phospho_schemas.settings import BadSetting
from phospho_workers.judging.settings import EncoderSettings

MODEL_FILE = "model.onnx"
TOKENIZER_FILE = "tokenizer.json"
_MAX_PIECES = 256
_MAX_CHARACTERS = 8_000
# A logit of 0, and the cosine at which sentence encoders are as often right as wrong on short texts.
_CROSS_THRESHOLD = 0.5
_SENTENCE_THRESHOLD = 0.4
_INPUTS = ("input_ids", "attention_mask", "token_type_ids")

Array = NDArray[np.float64]


class Encoder:
    """
    Score pairs of a description and a text, in [0, 1]; from `threshold` on it confirms. Thread-safe, blocking.

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
        default = _CROSS_THRESHOLD if self._is_cross else _SENTENCE_THRESHOLD
        self.threshold = default if settings.threshold is None else settings.threshold

    def scores(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        """Return the score of each pair of a description and a text."""
        if not pairs:
            return []
        shortened = [(description, text[:_MAX_CHARACTERS]) for description, text in pairs]
        scores = self._pair_scores(shortened) if self._is_cross else self._sentence_scores(shortened)
        return [float(score) for score in np.clip(np.nan_to_num(scores), 0.0, 1.0)]

    def _pair_scores(self, pairs: Sequence[tuple[str, str]]) -> Array:
        logits, _ = self._run(pairs)
        return np.asarray(1.0 / (1.0 + np.exp(-np.clip(logits[:, 0], -50.0, 50.0))))

    def _sentence_scores(self, pairs: Sequence[tuple[str, str]]) -> Array:
        unique_texts = list(dict.fromkeys(text for pair in pairs for text in pair))
        rows = {text: row for row, text in enumerate(unique_texts)}
        vectors = _pooled(*self._run(unique_texts))
        left = vectors[[rows[description] for description, _ in pairs]]
        right = vectors[[rows[text] for _, text in pairs]]
        return np.asarray(np.einsum("ij,ij->i", left, right))

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
