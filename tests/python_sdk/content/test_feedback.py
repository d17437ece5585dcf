"""Feedback as flags and signs."""

from __future__ import annotations

from typing import Any

import pytest

import phospho

Recorded = phospho.RecordingTransport


class TestFeedback:
    @pytest.mark.parametrize(
        ("arguments", "flag"),
        [
            ({"flag": "success"}, "success"),
            ({"flag": "failure"}, "failure"),
            ({"raw_flag": "👍"}, "success"),
            ({"raw_flag": "🙂"}, "success"),
            ({"raw_flag": "success"}, "success"),
            ({"raw_flag": "👎"}, "failure"),
            ({"raw_flag": "anything else"}, "failure"),
            ({"raw_flag": 4, "raw_flag_to_flag": lambda stars: "success" if stars > 3 else "failure"}, "success"),
            ({"flag": "failure", "raw_flag": "👍"}, "failure"),
        ],
    )
    def test_user_feedback_converts_flags_and_signs(
        self, recorded: Recorded, arguments: dict[str, Any], flag: str
    ) -> None:
        task = phospho.user_feedback("task-1", notes="why", **arguments)
        phospho.flush()

        assert task is not None
        assert task.id == "task-1"
        feedback = recorded.feedback[0]
        assert (feedback["task_id"], feedback["flag"], feedback["comment"], feedback["source"]) == (
            "task-1",
            flag,
            "why",
            "user",
        )

    def test_user_feedback_with_failing_function_sends_nothing(self, recorded: Recorded) -> None:
        assert phospho.user_feedback("task-1", raw_flag=1, raw_flag_to_flag=lambda flag: flag["x"]) is None
        assert phospho.stats().errors == {"raw_flag_to_flag": 1}

    def test_user_feedback_without_flag_sends_nothing(self, recorded: Recorded) -> None:
        assert phospho.user_feedback("task-1") is None
        assert phospho.stats().logged == 0


def test_feedback_accepts_values_that_are_no_json(server: Any) -> None:
    import uuid
    from decimal import Decimal

    client = phospho.Client(api_key="k", base_url=server.url)
    client.feedback(uuid.uuid4(), 1, comment=Decimal("1.5"))  # type: ignore[arg-type]

    assert client.flush(10).is_complete
