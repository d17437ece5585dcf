"""The SDK's logger, and foreign text as a log line can hold it."""

from __future__ import annotations

import logging

__all__ = ["error_text", "logger", "printable"]

logger = logging.getLogger("phospho")

MAX_ERROR_CHARACTERS = 2000
MAX_PRINTED_CHARACTERS = 200


def printable(text: str) -> str:
    """Return foreign *text* cut to one line's length, as its `repr` where it cannot be printed."""
    cut = text if len(text) <= MAX_PRINTED_CHARACTERS else f"{text[:MAX_PRINTED_CHARACTERS]}…"
    return cut if cut.isprintable() else repr(cut)


def error_text(error: BaseException) -> str:
    """Return an exception's type and text, cut. Never raises, whatever its `__str__` does."""
    try:
        text = str(error)[:MAX_ERROR_CHARACTERS]
    except Exception:  # the app's own `__str__`
        text = ""
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
