"""Bounded inflation of gzip, deflate and zstd: a bomb costs no more than an honest body."""

from __future__ import annotations

import sys
import zlib
from collections.abc import Callable, Mapping
from typing import Protocol

from phospho_web.problems import Problem, body_too_large

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_GZIP_WBITS = 16 + zlib.MAX_WBITS
# RFC 8878, 3.1.1.1.2 recommends that decoders take windows of 8 MB; more would be memory for the asking.
_ZSTD_WINDOW_LOG = 23


class _Inflater(Protocol):
    """One stream. zlib's objects and zstd's (the interface of Python 3.14's `compression.zstd`) both have this."""

    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


def inflated(body: bytes, encoding: str, max_bytes: int) -> bytes:
    """
    Return the body without its Content-Encoding; never holds more than `max_bytes` and one byte of output.

    Raises Problem: 415 for an encoding that is not known, 413 above `max_bytes`, 400 for a damaged stream.
    """
    name = encoding.strip().lower()
    if name in ("", "identity"):
        return body
    if name not in _INFLATERS:
        raise Problem(
            415,
            "unsupported_encoding",
            "Content-Encoding is not known here",
            "use gzip, deflate, zstd, or none",
        )
    inflater = _INFLATERS[name](body)
    output = _output(inflater, body, name, max_bytes)
    if len(output) > max_bytes:
        raise body_too_large(max_bytes)
    if not inflater.eof or inflater.unused_data:
        raise _damaged(name)
    return output


def _output(inflater: _Inflater, body: bytes, name: str, max_bytes: int) -> bytes:
    try:
        return inflater.decompress(body, max_bytes + 1)
    except (zlib.error, zstd.ZstdError, EOFError):
        raise _damaged(name) from None


def _damaged(name: str) -> Problem:
    return Problem(
        400,
        "malformed_body",
        f"the body is not one whole {name} stream",
        "compress the body once, and send it to its end",
    )


def _gzip(body: bytes) -> _Inflater:
    return zlib.decompressobj(_GZIP_WBITS)


def _deflate(body: bytes) -> _Inflater:
    """Take the zlib format, which RFC 9110 means, and the bare stream, which some clients send."""
    has_zlib_header = len(body) >= 2 and body[0] & 0x0F == 8 and (body[0] << 8 | body[1]) % 31 == 0
    return zlib.decompressobj(zlib.MAX_WBITS if has_zlib_header else -zlib.MAX_WBITS)


def _zstd(body: bytes) -> _Inflater:
    return zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: _ZSTD_WINDOW_LOG})


_INFLATERS: Mapping[str, Callable[[bytes], _Inflater]] = {
    "gzip": _gzip,
    "x-gzip": _gzip,
    "deflate": _deflate,
    "zstd": _zstd,
}
