"""An LLM on loopback, and what asks it without waiting long."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fixtures.providers.llm_server import LlmServer, llm_server
from phospho_workers.judging import llm_client as chat


@pytest.fixture
def llm() -> Iterator[LlmServer]:
    with llm_server() as server:
        yield server


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let attempts follow each other at once."""
    monkeypatch.setattr(chat, "_FIRST_BACKOFF_S", 0.001)
    monkeypatch.setattr(chat, "_MAX_BACKOFF_S", 0.02)
