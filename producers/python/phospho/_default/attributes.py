"""Attributes of the module `phospho` that change or are imported late (PEP 562)."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

from .._capture.trace import waiting_steps
from .state import STATE

if TYPE_CHECKING:
    from .._delivery.queue import LogQueue
    from .._delivery.sender import Sender

__all__ = ["module_attribute", "module_names"]

# The changing attributes of `phospho` for type checkers. `module_attribute` returns their values.
consumer: Sender | None
latest_session_id: str | None
latest_task_id: str | None
log_queue: LogQueue | None
spans_to_export: list[dict[str, Any]]

_LATE_NAMES = ("PhosphoTest", "consumer", "latest_session_id", "latest_task_id", "log_queue", "spans_to_export")

# Upstream imports its submodules with the package. Here each is imported when it is first used.
_SUBMODULES = frozenset(
    [
        "client",
        "collection",
        "extractor",
        "integrations",
        "lab",
        "models",
        "query",
        "sessions",
        "tasks",
        "testing",
        "utils",
    ]
)


def module_names() -> list[str]:
    """Return the names of `phospho` and of its late attributes. This is the package's `__dir__`."""
    return sorted({*vars(sys.modules["phospho"]), *_LATE_NAMES, *_SUBMODULES})


def module_attribute(name: str) -> Any:
    """
    Return a late attribute of `phospho`. This is the package's `__getattr__`.

    `log_queue` and `consumer` are None before `init`.
    """
    if name == "latest_task_id":
        return STATE.latest.task_id
    if name == "latest_session_id":
        return STATE.latest.session_id
    if name in ("log_queue", "consumer"):
        return None if STATE.client is None else getattr(STATE.client, name)
    if name == "spans_to_export":
        return waiting_steps()
    if name == "PhosphoTest":
        return import_module("phospho.testing").PhosphoTest
    if name in _SUBMODULES:
        return import_module(f"phospho.{name}")
    raise AttributeError(f"module 'phospho' has no attribute {name!r}")
