"""
The exports of other systems that `phospho import` reads: each a file here and its line below.

A format turns one record of an export into the events that are logged for it: one for most, several for a whole chat,
and none where the record is not a turn of a conversation (a tool's span, say).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from phospho_store.log_files.formats import chats, flattened, langfuse, langsmith
from phospho_store.log_files.formats.values import Format

FORMATS: Mapping[str, Format] = MappingProxyType(
    {
        "langfuse": langfuse.FORMAT,
        "langsmith": langsmith.FORMAT,
        "flattened": flattened.FORMAT,
        "chats": chats.FORMAT,
    }
)


def recognised(record: Mapping[str, Any]) -> str | None:
    """Return the name of the format that a record is of, judged by its keys; None for phospho's own."""
    return next((name for name, export_format in FORMATS.items() if export_format.recognises(record)), None)
