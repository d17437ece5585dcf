"""Identifiers made on the client, so that a retry carries the id of the first attempt."""

from __future__ import annotations

import os
import time

__all__ = ["new_id"]


def new_id() -> str:
    """
    Return a UUID of version 7 (RFC 9562, section 5.7): 48 bits of Unix milliseconds, then 74 random bits.

    Ids sort by the millisecond of their creation, which keeps the parts of the server's tables disjoint.
    """
    random = int.from_bytes(os.urandom(10), "big")
    milliseconds = (time.time_ns() // 1_000_000) & 0xFFFF_FFFF_FFFF
    value = (
        milliseconds << 80 | 0x7 << 76 | (random >> 68) << 64 | 0b10 << 62 | random & 0x3FFF_FFFF_FFFF_FFFF
    )
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
