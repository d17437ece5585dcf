"""Which topic lands in which table. The messages of these topics are the very lines that ClickHouse inserts."""

from __future__ import annotations

from collections.abc import Mapping

from phospho_schemas.topics import ANALYSES, DEAD_LETTER, FEEDBACK, TASKS

TABLE_OF_TOPIC: Mapping[str, str] = {
    ANALYSES.name: "analysis_rows",
    FEEDBACK.name: "feedback_rows",
    DEAD_LETTER.name: "dead_letter_rows",
    TASKS.name: "task_rows",
}
SUNK_TOPICS = (TASKS, ANALYSES, FEEDBACK, DEAD_LETTER)
