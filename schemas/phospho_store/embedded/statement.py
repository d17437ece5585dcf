"""
The parts of a statement that are needed before the engine runs it: its first word, its FORMAT, the start of its data.

Only the engine parses SQL. This module reads tokens, so that quotes and comments are never taken for words.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise


def word_set(words: str) -> frozenset[str]:
    """Return the words of a text."""
    return frozenset(words.split())


_TOKEN = re.compile(
    rb"""
    (?P<blank>\s+|--[^\n]*|\#[!\ ][^\n]*|/\*.*?(?:\*/|\Z))
    |(?P<quoted>'(?:[^'\\]|\\.|'')*'|"(?:[^"\\]|\\.|"")*"|`(?:[^`\\]|\\.|`)*`)
    |(?P<heredoc>\$(?P<tag>\w*)\$.*?\$(?P=tag)\$)
    |(?P<word>[A-Za-z_]\w*)
    |(?P<other>\d\w*|.)
    """,
    re.VERBOSE | re.DOTALL,
)
# After these words an INSERT takes its rows from the statement itself, a query or a file.
_INLINE_ROWS = word_set("VALUES SELECT WITH WATCH INFILE")
_NO_RESULT = word_set(
    "ALTER ATTACH COMMIT CREATE DELETE DETACH DROP EXCHANGE GRANT INSERT MOVE OPTIMIZE RENAME REPLACE REVOKE"
    " ROLLBACK SET SYSTEM TRUNCATE UNDROP UPDATE USE"
)
_AFTER_A_NAME = word_set("AS FROM ILIKE IN IS LIKE WHERE")
_DATA_BLANK = re.compile(rb";?[ \t\f]*\r?\n?")


@dataclass(frozen=True)
class Statement:
    """
    The parts of a statement. `keyword` is its first word in capitals; offsets are in bytes of the text.

    `format` is the name in a closing FORMAT clause and `format_start` where that clause begins; for an INSERT
    that is followed by rows in that format, `data_start` is where the rows begin. `changes_session`: only
    later statements of its session see what it does, as with SET, USE and temporary tables.
    """

    keyword: str
    format: str | None = None
    format_start: int | None = None
    data_start: int | None = None
    has_outfile: bool = False
    has_settings: bool = False
    changes_session: bool = False

    @property
    def has_result(self) -> bool:
        """True if it answers with rows (perhaps none), as a SELECT does and a CREATE does not."""
        return self.keyword not in _NO_RESULT


@dataclass(frozen=True)
class _Token:
    text: str
    start: int
    end: int
    depth: int

    @property
    def word(self) -> str:
        return self.text.upper()


def read_statement(text: bytes | memoryview, formats: frozenset[str]) -> Statement:
    """
    Read one statement; `formats` are the engine's format names in lower case. Never raises.

    Rows after an INSERT's FORMAT are not looked at, however many they are.
    """
    tokens = _tokens(text)
    first = next(tokens, None)
    if first is None:
        return Statement("")
    if first.word == "INSERT":
        return _read_insert(text, tokens, formats)
    return _read_query(first, list(tokens), formats)


def _read_insert(text: bytes | memoryview, tokens: Iterator[_Token], formats: frozenset[str]) -> Statement:
    for word, name in pairwise(tokens):
        if word.depth == 0 and word.word in _INLINE_ROWS:
            return Statement("INSERT")
        if _is_format(word, name, formats):
            blank = _DATA_BLANK.match(text, name.end)
            return Statement("INSERT", name.text, word.start, blank.end() if blank else name.end)
    return Statement("INSERT")


def _read_query(first: _Token, rest: list[_Token], formats: frozenset[str]) -> Statement:
    words = [first.word, *(token.word for token in rest)]
    name = _find_format(rest, formats)
    return Statement(
        keyword=first.word,
        format=rest[name].text if name is not None else None,
        format_start=rest[name - 1].start if name is not None else None,
        has_outfile=("INTO", "OUTFILE") in pairwise(words),
        has_settings=_has_settings(words),
        changes_session=first.word in ("SET", "USE") or "TEMPORARY" in words[1:4],
    )


def _find_format(tokens: list[_Token], formats: frozenset[str]) -> int | None:
    """Return the index of the format's name, if FORMAT is the last clause but perhaps SETTINGS."""
    end = len(tokens)
    while end and tokens[end - 1].word == ";":
        end -= 1
    settings = [i for i, token in enumerate(tokens) if token.depth == 0 and token.word == "SETTINGS"]
    ends = (i for i in (end, *settings) if i >= 2 and _is_format(tokens[i - 2], tokens[i - 1], formats))
    return next((i - 1 for i in ends), None)


def _has_settings(words: list[str]) -> bool:
    """Return whether there may be a SETTINGS clause anywhere; `settings` is also a table of `system`."""
    at = (i for i, (word, after) in enumerate(pairwise(words)) if word == "SETTINGS" and _may_be_a_name(after))
    return any(words[max(0, i - 2) : i] != ["SYSTEM", "."] for i in at)


def _may_be_a_name(word: str) -> bool:
    """Return whether a setting may be meant, not a word of SQL after a column or table called `settings`."""
    return (word[0].isalpha() or word[0] in "_'") and word not in _AFTER_A_NAME


def _is_format(word: _Token, name: _Token, formats: frozenset[str]) -> bool:
    return word.word == "FORMAT" and word.depth == 0 and name.word.lower() in formats


def _tokens(text: bytes | memoryview) -> Iterator[_Token]:
    """Words and single characters, without blanks and comments; quoted text is `'`."""
    depth = 0
    for match in _TOKEN.finditer(text):
        if match.lastgroup == "blank":
            continue
        word = match["word"] or match["other"] or b"'"
        depth -= word in b")]}"
        yield _Token(word.decode("latin-1"), match.start(), match.end(), depth)
        depth += word in b"([{"
