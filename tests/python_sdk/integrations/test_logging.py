"""The `logging` handler."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

import phospho
from phospho.integrations.logging import PhosphoHandler


@pytest.fixture
def app_logger() -> Iterator[logging.Logger]:
    app_logger, handler = logging.getLogger("the.app"), PhosphoHandler()
    app_logger.addHandler(handler)
    app_logger.setLevel(logging.INFO)
    yield app_logger
    app_logger.removeHandler(handler)


def test_record_with_task_fields_is_a_task(recorded: phospho.RecordingTransport, app_logger: logging.Logger) -> None:
    app_logger.info("answered in %s", "Paris", extra={"phospho": {"input": "Where?", "session_id": "s"}})
    app_logger.warning("slow", extra={"phospho": {"input": "Why?", "output": "So.", "user_id": "ann"}})
    app_logger.info("nothing to log")
    app_logger.info("no input", extra={"phospho": {"output": "x"}})

    assert phospho.flush().is_complete
    first, second = recorded.logs
    assert (first["input"], first["output"], first["session_id"]) == ("Where?", "answered in Paris", "s")
    assert (second["output"], second["user_id"], second["level"]) == ("So.", "ann", "WARNING")
    assert first["logger"] == "the.app"
