"""Pictures, sounds and files as base64: described instead of kept."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

__all__ = ["described"]

# Shorter texts are kept: thumbnails and signatures are as short.
_MIN_CHARACTERS = 1_000
_MAX_DEPTH = 100

_DATA_URL = re.compile(r"(data:[\w.+/;=-]{0,100};base64,)([A-Za-z0-9+/_=-]{1000,})")
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]+={0,2}")
# Fields that hold base64 without saying so: Anthropic, Bedrock, OpenAI's images, files and sounds, Gemini.
_FIELDS = frozenset(
    {"data", "bytes", "b64_json", "base64", "result", "file_data", "image", "imageBytes", "image_bytes", "videoBytes",
     "video_bytes", "url", "partial_image_b64", "thoughtSignature", "thought_signature"}
)  # fmt: skip


def described(value: Any, depth: int = _MAX_DEPTH) -> Any:
    """
    Return *value* with base64 of at least 1,000 characters as its size, as in `<base64, 375000 bytes>`.

    Base64 is read in data URLs everywhere, and as plain text in the fields that are known to hold it. A value
    without any is returned as it is.
    """
    if isinstance(value, str):
        return _without_data_urls(value)
    if depth > 0 and isinstance(value, Mapping):
        copies = {key: _field(key, item, depth - 1) for key, item in value.items()}
        return copies if any(copies[key] is not item for key, item in value.items()) else value
    if depth > 0 and isinstance(value, list):
        items = [described(item, depth - 1) for item in value]
        return items if any(items[index] is not item for index, item in enumerate(value)) else value
    return value


def _field(key: Any, value: Any, depth: int) -> Any:
    if key in _FIELDS and isinstance(value, str) and len(value) >= _MIN_CHARACTERS and _BASE64.fullmatch(value):
        return _size_of(value)
    return described(value, depth)


def _without_data_urls(text: str) -> str:
    if len(text) < _MIN_CHARACTERS or ";base64," not in text:
        return text
    return _DATA_URL.sub(lambda match: match.group(1) + _size_of(match.group(2)), text)


def _size_of(base64: str) -> str:
    return f"<base64, {len(base64.rstrip('=')) * 3 // 4} bytes>"
