"""Requests: the key and the project in their headers, and their bodies, read within a limit and parsed as JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from difflib import get_close_matches
from typing import Any

import orjson
from starlette.requests import Request

from phospho_schemas.times import parsed_time
from phospho_store import exact_json
from phospho_web.problems import Problem, body_too_large, invalid, malformed_json, unauthorized

PROJECT_HEADER = "x-phospho-project"
_MAX_SECRET_CHARACTERS = 512


def bearer_secret(request: Request) -> str | None:
    """
    Return the secret in `Authorization: Bearer`, or None without one: another scheme may be a proxy's.

    Raises Problem (401) for a secret that is empty or longer than any key.
    """
    scheme, _, secret = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        return None
    secret = secret.strip()
    if not 0 < len(secret) <= _MAX_SECRET_CHARACTERS:
        raise unauthorized()
    return secret


_REPLACEMENT = "\ufffd".encode()
# A surrogate (U+D800 to U+DFFF) as three bytes, which is not UTF-8, and as an escape.
_SURROGATE_BYTES = re.compile(rb"\xed[\xa0-\xbf][\x80-\xbf]")
_SURROGATE_ESCAPE = re.compile(rb"\\u[dD][89a-fA-F]")
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def media_type_of(request: Request) -> str:
    """Return the media type of the body in lower case, without parameters; empty for a body without one."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


async def read_body(request: Request, max_bytes: int, on_bytes: Callable[[int], None] | None = None) -> bytes:
    """
    Return the body. `on_bytes` is called with the size of each chunk, and may raise to refuse the rest.

    Raises Problem (413) as soon as the body, or its Content-Length, is above `max_bytes`.
    """
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced[:20]) > max_bytes:
        raise body_too_large(max_bytes)
    chunks: list[bytes] = []
    size_bytes = 0
    async for chunk in request.stream():
        size_bytes += len(chunk)
        if size_bytes > max_bytes:
            raise body_too_large(max_bytes)
        if on_bytes is not None:
            on_bytes(len(chunk))
        chunks.append(chunk)
    return b"".join(chunks)


async def read_object(request: Request, max_bytes: int) -> dict[str, Any]:
    """Return the JSON object in the body, empty for an empty body. Raises Problem (400, 413, 422)."""
    return object_or_empty(await read_body(request, max_bytes))


def parse_json(body: bytes, read: Callable[[bytes], Any] = orjson.loads) -> Any:
    """
    Return the JSON document of a body in UTF-8. The last of two equal keys counts, as in JavaScript.

    A lone surrogate becomes U+FFFD: Python and JavaScript clients send one whenever an app cut a text in the middle
    of an emoji, and no database can store it. Raises Problem (400) for what is not JSON, a number that no double
    holds, and nesting deeper than 1,024. `read` is orjson's, or one that raises its errors.
    """
    try:
        return read(body)
    except orjson.JSONDecodeError as error:
        # Not the error itself: its traceback leads back to this frame, and both would hold the body until the garbage
        # collector comes.
        reason = f"{error.msg}, at character {error.pos}"
    try:
        return read(without_lone_surrogates(body))
    except (ValueError, RecursionError):
        raise malformed_json(f"the body is not JSON: {reason}") from None


def object_of(document: Any) -> dict[str, Any]:
    """Return a document that is an object. Raises Problem (422) for any other."""
    if isinstance(document, dict):
        return document
    raise invalid("invalid_body", f"the body is {json_type(document)}, an object is needed", "send a JSON object")


def object_or_empty(body: bytes) -> dict[str, Any]:
    """Return the JSON object of a body, empty for an empty body. Raises Problem (400, 422)."""
    return object_of(parse_json(body)) if body.strip() else {}


def text_field(content: dict[str, Any], name: str, default: str | None = None, max_length: int = 512) -> str:
    """Return a string of an object. Raises Problem (422) where it is of another type, or missing without a default."""
    value = content.get(name, default)
    if not isinstance(value, str) or len(value) > max_length:
        raise Problem(422, "invalid_field", f"{name!r} must be a string of at most {max_length} characters")
    return value


def time_value(text: str, name: str) -> datetime:
    """Return the time in the text of a field or parameter. Raises Problem (422) where it is none."""
    moment = parsed_time(text)
    if moment is None:
        raise Problem(422, "invalid_field", f"{name} {text!r} is not a time", "write it as 2026-01-31T12:00:00Z")
    return moment


def json_type(value: Any) -> str:
    """Return JSON's name for the type of a value, with its article."""
    return _JSON_TYPES.get(type(value), "an object")


def without_lone_surrogates(body: bytes) -> bytes:
    """Return the body without byte order mark and lone surrogates. Raises ValueError or RecursionError."""
    readable = _SURROGATE_BYTES.sub(_REPLACEMENT, body.removeprefix(_BYTE_ORDER_MARK))
    if not _SURROGATE_ESCAPE.search(readable):
        return readable
    # The standard library reads lone surrogates; what it writes is UTF-8 save for them, and NaN, still refused.
    text = json.dumps(json.loads(readable), ensure_ascii=False)
    return _SURROGATE_BYTES.sub(_REPLACEMENT, text.encode("utf-8", "surrogatepass"))


_JSON_TYPES = {
    type(None): "null",
    bool: "a boolean",
    int: "a number",
    float: "a number",
    str: "a string",
    list: "a list",
    dict: "an object",
    orjson.Fragment: "a number",
    exact_json.NotANumber: "no number of JSON",
}


# `page` is not like `language`, while `7days` is like `7d`.
_LEAST_SIMILARITY = 0.55
# Names of other APIs, and of ours elsewhere.
_SYNONYMS: Mapping[str, str] = {
    "since": "from",
    "start": "from",
    "until": "to",
    "end": "to",
    "search": "q",
    "query": "q",
    "feedback": "flag",
}


def check_parameters(query: Mapping[str, str], names: Sequence[str], unnamed: Sequence[str]) -> None:
    """
    Raise Problem 400 for a parameter that is neither in `names` nor `unnamed`, which the hint leaves out.

    Without it, the answer would be about other rows than asked for.
    """
    unknown = next((name for name in query if name not in names and name not in unnamed), None)
    if unknown is None:
        return
    hint = choices_hint(unknown, names) if names else "this list takes no filters"
    raise Problem(400, "unknown_filter", f"there is no filter {unknown[:100]!r}", hint)


def choices_hint(text: str, choices: Collection[str]) -> str:
    """Return the hint of a problem about a text that is none of `choices`: the most similar one, and all of them."""
    similar = get_close_matches(text[:100], list(choices), 1, _LEAST_SIMILARITY)
    synonym = _SYNONYMS.get(text, "")
    nearest_name = synonym if synonym in choices else similar[0] if similar else ""
    suggestion = f"did you mean {nearest_name!r}? " if nearest_name else ""
    return f"{suggestion}known: {', '.join(choices)}"
