"""From the bytes of a body to a JSON document."""

from __future__ import annotations

import json
import re
from typing import Any

import orjson

from phospho_schemas.errors import Problem, malformed_json

_REPLACEMENT = "\ufffd".encode()
# A surrogate (U+D800 to U+DFFF) as three bytes, which is not UTF-8, and as an escape.
_SURROGATE_BYTES = re.compile(rb"\xed[\xa0-\xbf][\x80-\xbf]")
_SURROGATE_ESCAPE = re.compile(rb"\\u[dD][89a-fA-F]")
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def parsed(body: bytes) -> Any:
    """
    Return the JSON document of a body in UTF-8. Of a key that comes twice the last counts, as in JavaScript.

    A surrogate without its other half becomes U+FFFD: Python and JavaScript clients send one whenever an app cut a
    text in the middle of an emoji, no database can store it, and the log is worth more than the half character.
    Raises Problem (400): not JSON, a number that no double holds, or nested deeper than 1,024.
    """
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        first_error = error
    try:
        return orjson.loads(_mended(body))
    except (ValueError, RecursionError):
        raise _malformed(first_error) from None


def object_of(document: Any) -> dict[str, Any]:
    """Return a document that is an object. Raises Problem (422) for any other."""
    if isinstance(document, dict):
        return document
    raise Problem(422, "invalid_body", f"the body is {json_type(document)}, an object is needed", "send a JSON object")


def json_type(value: Any) -> str:
    """Return what JSON calls the type of a value, with its article."""
    return _JSON_TYPES.get(type(value), "an object")


def _mended(body: bytes) -> bytes:
    """Return the body without byte order mark and half characters. Raises ValueError or RecursionError."""
    mended = _SURROGATE_BYTES.sub(_REPLACEMENT, body.removeprefix(_BYTE_ORDER_MARK))
    if not _SURROGATE_ESCAPE.search(mended):
        return mended
    # The standard library reads half characters; what it writes is UTF-8 save for them, and NaN, still refused.
    text = json.dumps(json.loads(mended), ensure_ascii=False)
    return _SURROGATE_BYTES.sub(_REPLACEMENT, text.encode("utf-8", "surrogatepass"))


def _malformed(error: orjson.JSONDecodeError) -> Problem:
    return malformed_json(f"the body is not JSON: {error.msg}, at character {error.pos}")


_JSON_TYPES = {
    type(None): "null",
    bool: "a boolean",
    int: "a number",
    float: "a number",
    str: "a string",
    list: "a list",
    dict: "an object",
}
