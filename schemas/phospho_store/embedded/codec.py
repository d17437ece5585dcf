"""Content-Encoding of ClickHouse's HTTP interface: gzip, deflate, zstd and lz4, bounded while inflating."""

from __future__ import annotations

import sys
import zlib
from collections.abc import Callable
from typing import Protocol

import lz4.frame

from phospho_store.embedded.errors import CANNOT_DECOMPRESS, TOO_MANY_BYTES, UNKNOWN_COMPRESSION_METHOD, refusal

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_GZIP_WINDOW = 16 + zlib.MAX_WBITS
_FASTEST = 1  # on a loopback, bytes are cheaper than time


def decompress(data: bytes, encoding: str, max_bytes: int) -> bytes:
    """Inflate a request's body. Raises a refusal for an unknown encoding, broken data, or over `max_bytes`."""
    if encoding in ("", "identity"):
        return data
    start = _INFLATE.get(encoding)
    if start is None:
        raise refusal(UNKNOWN_COMPRESSION_METHOD, f"Unknown Content-Encoding '{encoding}'.", status=415)
    try:
        inflated = _inflate(start, data, max_bytes + 1)
    except (zlib.error, zstd.ZstdError, RuntimeError, EOFError) as broken:
        raise refusal(CANNOT_DECOMPRESS, f"The body is not valid {encoding}: {broken}.", status=400) from broken
    if len(inflated) > max_bytes:
        raise refusal(TOO_MANY_BYTES, f"The body inflates to more than {max_bytes} bytes.", status=413)
    return inflated


def choose_encoding(accept_encoding: str) -> str:
    """Return the client's first encoding that is supported, else "". `q` is ignored."""
    offered = (name.split(";")[0].strip().lower() for name in accept_encoding.split(","))
    return next((name for name in offered if name in _DEFLATE), "")


def compress(data: bytes, encoding: str) -> bytes:
    """Compress a response body; `encoding` comes from `choose_encoding`."""
    return _DEFLATE[encoding](data)


class _Stream(Protocol):
    """The common interface of zlib, lz4 and zstd."""

    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...
    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes | None: ...


def _inflate(start: Callable[[], _Stream], data: bytes, max_bytes: int) -> bytes:
    """Return at most `max_bytes` of one or more streams in a row. Raises EOFError when the last is not whole."""
    inflated: list[bytes] = []
    remaining = max_bytes
    while data and remaining:
        stream = start()
        inflated.append(stream.decompress(data, remaining))
        remaining -= len(inflated[-1])
        if not stream.eof and remaining:
            raise EOFError("it ends early")
        data = stream.unused_data or b""
    return b"".join(inflated)


def _deflate_zlib(data: bytes, window_bits: int) -> bytes:
    stream = zlib.compressobj(_FASTEST, wbits=window_bits)
    return stream.compress(data) + stream.flush()


_INFLATE: dict[str, Callable[[], _Stream]] = {
    "gzip": lambda: zlib.decompressobj(_GZIP_WINDOW),
    "deflate": lambda: zlib.decompressobj(zlib.MAX_WBITS),
    "zstd": zstd.ZstdDecompressor,
    "lz4": lz4.frame.LZ4FrameDecompressor,
}
_DEFLATE: dict[str, Callable[[bytes], bytes]] = {
    "gzip": lambda data: _deflate_zlib(data, _GZIP_WINDOW),
    "deflate": lambda data: _deflate_zlib(data, zlib.MAX_WBITS),
    "zstd": lambda data: zstd.compress(data, _FASTEST),
    "lz4": lambda data: bytes(lz4.frame.compress(data)),
}
