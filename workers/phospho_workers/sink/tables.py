"""Topics of the sink and their tables. A message is the very line of JSON that ClickHouse inserts."""

from __future__ import annotations

from collections.abc import Mapping

from phospho_schemas.topics import ANALYSES, DEAD_LETTER, FEEDBACK, TASKS

STAGE = "sink"
TABLE_OF_TOPIC: Mapping[str, str] = {
    ANALYSES.name: "analysis_rows",
    FEEDBACK.name: "feedback_rows",
    DEAD_LETTER.name: "dead_letter_rows",
    TASKS.name: "task_rows",
}
# Most bytes of lines in one insert, or one line that is larger. The embedded HTTP server takes bodies of 64 MiB, and
# the largest line of any topic has 48 MB.
MAX_INSERT_BYTES = 32_000_000
SUNK_TOPICS = (TASKS, ANALYSES, FEEDBACK, DEAD_LETTER)
