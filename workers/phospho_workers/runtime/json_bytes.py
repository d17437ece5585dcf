"""JSON in and out: fast where the bytes are good, careful where they are not."""

from __future__ import annotations

import json
import math
from typing import Any

import orjson

from phospho_workers.runtime.records import Unreadable


def decode_object(value: bytes) -> dict[str, Any]:
    """
    Return the JSON object in `value`.

    Lone surrogates and invalid UTF-8 become U+FFFD, NaN and infinities become null. Raises Unreadable for what is
    not JSON, not an object, or nested too deep.
    """
    try:
        decoded = orjson.loads(value)
    except orjson.JSONDecodeError:
        decoded = _decoded_with_care(value)
    if not isinstance(decoded, dict):
        raise Unreadable("not_an_object", f"expected a JSON object, found {type(decoded).__name__}")
    return decoded


def encode(value: Any) -> bytes:
    """Return `value` as one JSON line. Raises Unreadable for what JSON can't hold, such as 10^400."""
    try:
        return orjson.dumps(value)
    except TypeError as error:
        raise Unreadable("unencodable", f"a value can't be written as JSON: {error}") from None


def _decoded_with_care(value: bytes) -> Any:
    try:
        loaded = json.loads(value.decode("utf-8", "replace"), parse_constant=lambda _: None, parse_float=_finite)
        text = json.dumps(loaded, ensure_ascii=False)
        return orjson.loads(text.encode("utf-16", "surrogatepass").decode("utf-16", "replace"))
    except RecursionError:
        raise Unreadable("too_deep", "the JSON is nested too deep") from None
    except ValueError as error:
        raise Unreadable("invalid_json", f"not JSON: {error}"[:300]) from None


def _finite(digits: str) -> float | None:
    number = float(digits)
    return number if math.isfinite(number) else None
