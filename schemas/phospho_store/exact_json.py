"""JSON with every digit of its integers; orjson rounds those beyond 64 bits to doubles."""

from __future__ import annotations

import json
import math
from typing import Any

import orjson

_LEAST, _GREATEST = -(2**63), 2**64 - 1
_MAX_DIGITS = 20


class NotANumber:
    """Placeholder for NaN, an infinity, or a number beyond the range of doubles."""


def loads(text: bytes | str) -> Any:
    """
    Return a JSON document. An integer beyond 64 bits is an `orjson.Fragment`, which orjson writes as it was.

    Raises orjson.JSONDecodeError.
    """
    document = orjson.loads(text)
    if not has_large_number(document):
        return document
    try:
        return json.loads(text, parse_int=_integer)
    except RecursionError:
        return document


def loads_with_placeholders(text: bytes) -> Any:
    """Return a JSON document, NotANumber for each number that JSON can't hold. Raises ValueError, RecursionError."""
    return json.loads(text.decode(), parse_int=_integer, parse_float=_float, parse_constant=_constant)


def has_large_number(value: Any) -> bool:
    """Tell whether a value that orjson read holds a float in whose place a larger integer may have been."""
    values = [value]
    while values:
        value = values.pop()
        for part in value.values() if type(value) is dict else value if type(value) is list else (value,):
            kind = type(part)
            if kind is dict or kind is list:
                values.append(part)
            elif kind is float and not _LEAST < part < _GREATEST:
                return True
    return False


def _integer(digits: str) -> Any:
    if len(digits) <= _MAX_DIGITS and _LEAST <= int(digits) <= _GREATEST:
        return int(digits)
    return orjson.Fragment(digits) if math.isfinite(float(digits)) else NotANumber()


def _float(digits: str) -> Any:
    number = float(digits)
    return number if math.isfinite(number) else NotANumber()


def _constant(_: str) -> NotANumber:
    return NotANumber()
