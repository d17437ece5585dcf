"""Warnings about RE2's classes: `\\b`, `\\w`, `\\d` and `\\s` are of ASCII alone, whatever language a text is in."""

from __future__ import annotations

import re
import unicodedata

_LETTERS = r"[\pL\pM\pN_]"
_NO_LETTER = r"[^\pL\pM\pN_]"
_SPACE = r"[\s\p{Z}]"
# An escape, a class in brackets, a literal quotation of RE2, or one other character.
_TOKEN = re.compile(
    r"\\Q.*?(?:\\E|$)|\\(?:x\{[^}]*\}|[pP](?:\{[^}]*\}|.)|.)|\[\^?\]?(?:\\.|\[:\w+:\]|[^\]])*\]|.", re.DOTALL
)
_IN_BRACKETS = {r"\w": r"\pL\pM\pN_", r"\d": r"\p{Nd}", r"\s": r"\s\p{Z}"}
_REPLACEMENTS = {
    r"\w": _LETTERS,
    r"\W": _NO_LETTER,
    r"\d": r"\p{Nd}",
    r"\D": r"\P{Nd}",
    r"\s": _SPACE,
    r"\S": r"[^\s\p{Z}]",
}


def class_warning(pattern: str) -> str | None:
    """
    Return what a pattern misses in texts of any language, with a pattern that misses nothing, or None.

    Classes of ASCII are warned of where the pattern has letters, digits or spaces beyond ASCII (a ’ is none), and a
    straight apostrophe always.
    """
    tokens = _TOKEN.findall(pattern)
    faults = []
    is_foreign = any(token[:2] in (r"\p", r"\P", r"\x") or _has_foreign_letters(token) for token in tokens)
    if is_foreign and (classes := sorted({name for token in tokens for name in _ascii_classes(token)})):
        faults.append(
            f"{', '.join(classes)} know ASCII only, so é and ж are no letters to them, and no-break spaces no spaces"
        )
    if "'" in tokens:
        faults.append("phones type ’ where the pattern has '")
    return f"{'; '.join(faults)}. To find both, write {_replaced(tokens, is_foreign)}" if faults else None


def _has_foreign_letters(token: str) -> bool:
    return not token.isascii() and any(
        not character.isascii() and unicodedata.category(character)[0] in "LMNZ" for character in token
    )


def _ascii_classes(token: str) -> list[str]:
    if token.startswith("["):
        return [name for name in _IN_BRACKETS if name in token]
    return [token] if token in _REPLACEMENTS or token in (r"\b", r"\B") else []


def _replaced(parts: list[str], is_foreign: bool) -> str:
    """Return the pattern with classes of all languages; a boundary becomes the character before or after the word."""
    replaced = []
    for index, part in enumerate(parts):
        if part == "'":
            replaced.append("['’]")
        elif not is_foreign:
            replaced.append(part)
        elif part == r"\b":
            is_before_word = _begins_word(parts[index + 1 : index + 2])
            replaced.append(f"(?:^|{_NO_LETTER})" if is_before_word else f"(?:{_NO_LETTER}|$)")
        elif part.startswith("["):
            for name, inside in _IN_BRACKETS.items():
                part = part.replace(name, inside)
            replaced.append(part)
        else:
            replaced.append(_REPLACEMENTS.get(part, part))
    return "".join(replaced)


def _begins_word(following: list[str]) -> bool:
    return bool(following) and (following[0].isalnum() or following[0][0] in "[\\(_")
