"""Every Kafka topic: its name, key, partitions, retention and clean-up, in this one place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

_DAY_MS = 24 * 60 * 60 * 1000
# Room for the 10 MB that the gateway takes, with the envelope around it.
_MAX_LOG_BYTES = 12_000_000
# In a row the text of a log stands for people and as it came, and either may be JSON inside JSON, which doubles
# each quote and backslash.
_MAX_ROW_BYTES = 4 * _MAX_LOG_BYTES
# A whole raw log in base64, with its key and headers.
_MAX_DEAD_LETTER_BYTES = 2 * _MAX_LOG_BYTES
# What Kafka puts around key and value of a message that is alone in its batch is less than this.
_OVERHEAD_BYTES = 1_000


@dataclass(frozen=True)
class Topic:
    """One topic. `partitions` bounds the replicas of a consumer group; changing it moves keys: make a new topic."""

    name: str
    help: str
    key: str = "project_id:session_id"
    partitions: int = 8
    retention_ms: int = 3 * _DAY_MS
    max_message_bytes: int = _MAX_ROW_BYTES

    def is_named(self, name: str) -> bool:
        """Return whether `name` is that of the topic on some brokers, where a prefix may stand before it."""
        return name.endswith(self.name)

    def fits(self, key: bytes, value: bytes) -> bool:
        """Return whether a message of that key and value fits into the topic."""
        return len(key) + len(value) <= self.max_message_bytes - _OVERHEAD_BYTES

    def config(self) -> dict[str, str]:
        """Return the topic's configuration in Kafka's names."""
        return {
            "cleanup.policy": "delete",
            "retention.ms": str(self.retention_ms),
            "max.message.bytes": str(self.max_message_bytes),
            # The broker's clock: a client's clock can't reorder the writes of a task that no gateway has stamped.
            "message.timestamp.type": "LogAppendTime",
        }


# The session of a key is that of the task by itself (ids.session_id_of_task) where the client gave none. Feedback names
# a task and no session, so that its key is that of such a task: its order among the tasks decides nothing.
RAW_LOGS = Topic(
    "phospho.raw-logs",
    "logs and feedback as clients sent them",
    retention_ms=7 * _DAY_MS,
    max_message_bytes=_MAX_LOG_BYTES,
)
TASKS = Topic("phospho.tasks", "rows of task_rows")
ANALYSES = Topic("phospho.analyses", "rows of analysis_rows: the whole analysis of a task, with its events")
EVENTS = Topic("phospho.events", "each detected event by itself, for subscribers")
FEEDBACK = Topic("phospho.feedback", "rows of feedback_rows", key="project_id:the session of the task by itself")
STEPS = Topic("phospho.steps", "rows of step_rows: steps that came without their task", key="project_id:trace_id")
PARTS = Topic("phospho.parts", "rows of log_part_rows: slices of logs that are larger than a message")
RECEIPTS = Topic(
    "phospho.receipts",
    "rows of receipt_rows: the outcome of each request, with the identities of its durable logs",
    key="project_id:receipt_id",
    partitions=2,
    max_message_bytes=_MAX_LOG_BYTES,
)
DEAD_LETTER = Topic(
    "phospho.dead-letter",
    "rows of dead_letter_rows: messages that a stage could not read",
    key="that of the source",
    partitions=2,
    retention_ms=30 * _DAY_MS,
    max_message_bytes=_MAX_DEAD_LETTER_BYTES,
)

TOPICS = (RAW_LOGS, TASKS, ANALYSES, EVENTS, FEEDBACK, STEPS, PARTS, RECEIPTS, DEAD_LETTER)
# What a producer has to be allowed to send.
MAX_MESSAGE_BYTES = max(topic.max_message_bytes for topic in TOPICS)


class Keyed(NamedTuple):
    """A message that is ready for a topic: the Kafka key, and one JSON object without a line break."""

    key: bytes
    value: bytes
