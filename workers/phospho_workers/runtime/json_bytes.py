"""JSON decoding and encoding: fast for clean bytes, tolerant of surrogates, NaN and invalid UTF-8."""

from __future__ import annotations

import json
import math
import re
from itertools import accumulate
from typing import Any

import orjson

from phospho_schemas.messages import MAX_NESTING_LEVELS
from phospho_store import exact_json
from phospho_workers.runtime.records import Rejected

# A row nests an event's values one level deeper: an unknown key of the event becomes one of its metadata.
_MAX_ROW_LEVELS = MAX_NESTING_LEVELS + 2
# Linear in any line: no part gives back what it took, and a string that never closes ends with the line.
_NO_BRACKETS = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)|[^"\[\]{}]++', re.DOTALL)
_STEP_OF_BRACKET = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}


def decode_object(value: bytes) -> dict[str, Any]:
    """
    Return the JSON object in `value`.

    Lone surrogates and invalid UTF-8 become U+FFFD, NaN and infinities become null. Raises Rejected for what is
    not JSON, not an object, or nested too deep.
    """
    try:
        decoded = orjson.loads(value)
    except orjson.JSONDecodeError:
        decoded = _decode_tolerantly(value)
    if not isinstance(decoded, dict):
        raise Rejected("not_an_object", f"expected a JSON object, found {type(decoded).__name__}")
    return decoded


def decode_exactly(value: bytes) -> Any:
    """Return what `decode_object` does, with integers beyond 64 bits as fragments of their digits."""
    try:
        return exact_json.loads(value)
    except orjson.JSONDecodeError:
        return exact_json.loads(_mended(value))


def encode(value: Any) -> bytes:
    """Return `value` as one JSON line. Raises Rejected for what JSON can't hold, such as 10^400."""
    try:
        return orjson.dumps(value)
    except TypeError as error:
        raise Rejected("unencodable", f"a value can't be written as JSON: {error}") from None


def encode_row(row: Any) -> bytes:
    """Return a row as one JSON line. Raises Rejected for what JSON can't hold or ClickHouse can't merge."""
    encoded = encode(row)
    if is_too_deep(encoded):
        raise Rejected("too_deep", f"the log nests more than {MAX_NESTING_LEVELS} lists and objects")
    return encoded


def is_too_deep(line: bytes) -> bool:
    """
    Tell whether a line of JSON nests more lists and objects than a row may.

    The line need not be valid JSON: ClickHouse accepts some that our parser does not. Nearly every line has too few
    brackets to be too deep, and is not parsed.
    """
    if line.count(b"[") + line.count(b"{") <= _MAX_ROW_LEVELS:
        return False
    steps = (_STEP_OF_BRACKET.get(byte, 0) for byte in _NO_BRACKETS.sub(b"", line))
    return max(accumulate(steps), default=0) > _MAX_ROW_LEVELS


def _decode_tolerantly(value: bytes) -> Any:
    try:
        return orjson.loads(_mended(value))
    except RecursionError:
        raise Rejected("too_deep", "the JSON is nested too deep") from None
    except ValueError as error:
        raise Rejected("invalid_json", f"not JSON: {error}"[:300]) from None


def _mended(value: bytes) -> str:
    """Return JSON as text that orjson reads. Raises RecursionError, ValueError."""
    loaded = json.loads(value.decode("utf-8", "replace"), parse_constant=lambda _: None, parse_float=_finite)
    text = json.dumps(loaded, ensure_ascii=False)
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _finite(digits: str) -> float | None:
    number = float(digits)
    return number if math.isfinite(number) else None
