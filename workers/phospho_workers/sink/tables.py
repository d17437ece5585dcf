"""Which topic lands in which table, and how much at once. The messages are the very lines that ClickHouse inserts."""

from __future__ import annotations

from collections.abc import Mapping

from phospho_schemas.topics import ANALYSES, DEAD_LETTER, FEEDBACK, TASKS

TABLE_OF_TOPIC: Mapping[str, str] = {
    ANALYSES.name: "analysis_rows",
    FEEDBACK.name: "feedback_rows",
    DEAD_LETTER.name: "dead_letter_rows",
    TASKS.name: "task_rows",
}
# One insert holds at most so many bytes of lines, or one line that is larger. The embedded HTTP server takes bodies
# of 64 MiB, and the largest line of any topic has 48 MB.
MAX_INSERT_BYTES = 32_000_000
SUNK_TOPICS = (TASKS, ANALYSES, FEEDBACK, DEAD_LETTER)
