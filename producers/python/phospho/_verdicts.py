"""What a person clicked or typed, as the verdict "success" or "failure"."""

from __future__ import annotations

from typing import Any, Callable, Literal

__all__ = ["Flag", "verdict"]

Flag = Literal["success", "failure"]

_SUCCESS_SIGNS = frozenset(
    ["👍", "🙂", "😀", "😊", "❤️", "⭐", "success", "thumbs_up", "up", "good", "yes", "true", "1", "+1"]
)


def verdict(raw_flag: Any, raw_flag_to_flag: Callable[[Any], Flag] | None = None) -> Flag:
    """Return what *raw_flag_to_flag* makes of *raw_flag*; else the known signs are a success."""
    if raw_flag_to_flag is not None:
        return raw_flag_to_flag(raw_flag)
    return "success" if str(raw_flag).strip().lower() in _SUCCESS_SIGNS else "failure"
