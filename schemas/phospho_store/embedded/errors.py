"""Refusals and failures with ClickHouse's error codes, names and HTTP status."""

from __future__ import annotations

import re

ACCESS_DENIED = (497, "ACCESS_DENIED")
AUTHENTICATION_FAILED = (516, "AUTHENTICATION_FAILED")
BAD_ARGUMENTS = (36, "BAD_ARGUMENTS")
INCORRECT_DATA = (117, "INCORRECT_DATA")
CANNOT_DECOMPRESS = (271, "CANNOT_DECOMPRESS")
NOT_IMPLEMENTED = (48, "NOT_IMPLEMENTED")
READONLY = (164, "READONLY")
SESSION_IS_LOCKED = (373, "SESSION_IS_LOCKED")
TOO_MANY_BYTES = (307, "TOO_MANY_BYTES")
TOO_MANY_SIMULTANEOUS_QUERIES = (202, "TOO_MANY_SIMULTANEOUS_QUERIES")
UNKNOWN_COMPRESSION_METHOD = (89, "UNKNOWN_COMPRESSION_METHOD")
UNKNOWN_FORMAT = (73, "UNKNOWN_FORMAT")

# The server's own mapping (ClickHouse, src/Server/HTTP/exceptionCodeToHTTPStatus.cpp); all else is 500.
_STATUS_CODES: dict[int, frozenset[int]] = {
    400: frozenset({6, 8, 15, 25, 26, 27, 36, 37, 38, 41, 44, 53, 62, 72, 117, 123, 167, 168, 223, 321, 376, 427})
    | frozenset({441, 675, 676}),
    401: frozenset({194}),
    403: frozenset({192, 193, 497, 512, 516}),
    404: frozenset({46, 47, 50, 56, 60, 63, 73, 78, 81, 115, 152, 336, 511}),
    408: frozenset({159}),
    413: frozenset({229}),
    415: frozenset({779}),
    501: frozenset({48}),
    503: frozenset({76, 209, 439}),
}
_CODE = re.compile(r"Code: (\d+)")


class ClickHouseHttpError(Exception):
    """A request that fails; `str()` is the text that the client reads, as ClickHouse writes it."""

    def __init__(self, code: int, text: str, *, status: int | None = None, retry_after_s: int | None = None) -> None:
        super().__init__(text)
        self.code = code
        self.status = status if status is not None else _status_of(code)
        self.retry_after_s = retry_after_s


def refusal(
    kind: tuple[int, str], reason: str, *, status: int | None = None, retry_after_s: int | None = None
) -> ClickHouseHttpError:
    """Return this server's own refusal, worded like the engine's: `Code: N. DB::Exception: reason. (NAME)`."""
    code, name = kind
    text = f"Code: {code}. DB::Exception: {reason} ({name})"
    return ClickHouseHttpError(code, text, status=status, retry_after_s=retry_after_s)


def engine_failure(raised: Exception, version: str) -> ClickHouseHttpError:
    """Return the engine's exception, from its `Code: ` on and with the server's version as HTTP clients expect it."""
    text = str(raised)
    match = _CODE.search(text)
    if match is None:
        return ClickHouseHttpError(1001, f"Code: 1001. DB::Exception: {text} (STD_EXCEPTION)")
    text = text[match.start() :].strip()
    if "(version " not in text:
        text = f"{text} (version {version})"
    return ClickHouseHttpError(int(match.group(1)), text)


def _status_of(code: int) -> int:
    return next((status for status, codes in _STATUS_CODES.items() if code in codes), 500)
