"""A task that is logged again while it waits in the queue."""

from __future__ import annotations

from typing import Any

import pytest

import phospho

Recorded = phospho.RecordingTransport


def sent(recorded: Recorded) -> list[dict[str, Any]]:
    assert phospho.flush().is_complete
    return recorded.logs


class TestTasksLoggedAgain:
    @pytest.fixture(autouse=True)
    def slow_sender(self) -> None:
        self.transport = phospho.RecordingTransport()
        phospho.init(transport=self.transport, tick=60)

    def test_outputs_of_waiting_task_are_joined(self) -> None:
        phospho._log_single_event(input="why?", output="4", task_id="t", to_log=False)
        assert phospho.flush().is_complete
        assert self.transport.logs == []

        phospho._log_single_event(input="why?", output="2", task_id="t")

        log = sent(self.transport)[0]
        assert (log["output"], log["raw_output"]) == ("42", ["4", "2"])

    def test_last_output_replaces_first_without_concatenation(self) -> None:
        first = phospho.log(input="why?", output="41", task_id="t")
        phospho.log(input="why?", output="42", task_id="t", concatenate_raw_outputs_if_task_id_exists=False)

        log = sent(self.transport)[0]
        assert (log["output"], log["client_created_at"]) == ("42", first["client_created_at"])

    def test_later_output_completes_task(self) -> None:
        task_id = phospho.new_task()
        phospho.log(input="why?", task_id=task_id)
        phospho.log(input="why?", output="42", task_id=task_id)

        assert [(log["task_id"], log["output"]) for log in sent(self.transport)] == [(task_id, "42")]
