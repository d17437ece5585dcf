"""Messages and definitions, which go into a job, and its results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NamedTuple

from .._ids import new_id
from ..errors import ConfigError

if TYPE_CHECKING:
    from ..tasks import Task

__all__ = [
    "EventConfig",
    "EventDefinition",
    "JobConfig",
    "JobResult",
    "Message",
    "ResultType",
    "Sides",
    "scope_of",
]

ENGINES = ("keyword", "regex", "semantic", "llm")
_ASSISTANTS = frozenset({"assistant", "ai", "model"})
# The server's scopes, and upstream's names for them.
_SCOPES = {
    "task": "task",
    "input": "input",
    "output": "output",
    "task_input_only": "input",
    "task_output_only": "output",
}


class Sides(NamedTuple):
    """The two texts of a task that the server's engines read. Empty if there is none."""

    input: str
    output: str


@dataclass(frozen=True)
class Message:
    """One message of a conversation, with the messages before it, oldest first."""

    content: str
    role: str | None = None
    previous_messages: Sequence[Message] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)
    id: str = field(default_factory=new_id)

    @classmethod
    def from_task(
        cls,
        task: Task | Mapping[str, Any],
        previous_messages: Sequence[Message] = (),
        metadata: Mapping[str, Any] | None = None,
    ) -> Message:
        """
        Make a message from a task read from the server, or from the content that `log` returned.

        It is the task's output, with the input before it. Without an output it is the input. Its id is the task's.
        """
        content: Mapping[str, Any] = task if isinstance(task, Mapping) else task.content
        task_metadata = dict(metadata if metadata is not None else content.get("metadata") or {})
        task_id, input, output = str(content["task_id"]), content["input"], content.get("output")
        question = cls(
            content=input,
            role="User",
            previous_messages=previous_messages,
            metadata=task_metadata,
            id=f"input_{task_id}" if output else task_id,
        )
        if not output:
            return question
        return cls(
            content=output,
            role="Assistant",
            previous_messages=(*previous_messages, question),
            metadata=task_metadata,
            id=task_id,
        )

    @property
    def is_of_assistant(self) -> bool:
        """True if the assistant sent it. A message without a role is the user's."""
        return (self.role or "").lower() in _ASSISTANTS

    def sides(self) -> Sides:
        """Return the message as the server reads a task: the user's text, and the assistant's answer to it."""
        if not self.is_of_assistant:
            return Sides(self.content, "")
        last = self.previous_messages[-1] if self.previous_messages else None
        return Sides("" if last is None or last.is_of_assistant else last.content, self.content)

    def context(self) -> Sequence[Message]:
        """Return the messages before those of `sides`, oldest first."""
        is_answer = self.is_of_assistant and bool(self.sides().input)
        return self.previous_messages[:-1] if is_answer else self.previous_messages

    def as_list(self) -> list[Message]:
        """Return the conversation up to this message, oldest first."""
        return [*self.previous_messages, self]

    def transcript(self, with_role: bool = True, with_previous_messages: bool = False) -> str:
        """Return the message as text, a line for each message."""
        messages = self.as_list() if with_previous_messages else [self]
        return "\n".join(f"{message.role}: {message.content}" if with_role else message.content for message in messages)


@dataclass(frozen=True)
class EventDefinition:
    """
    An event to detect in one task, with fields of the server's definitions.

    `engine` is "keyword" (needs `keywords`), "regex" (needs `pattern`, in RE2's syntax), "semantic" or "llm" (both
    need `description`). `scope` is "input", "output" or "task", which is both. `threshold`, in [0, 1], is that of
    "semantic". The lab reads one task at a time: it has no scopes for sessions, last tasks, tasks with their context
    or system prompts.

    Raises:
        ConfigError: the lab has no such engine or scope.
    """

    name: str
    description: str = ""
    engine: str = "semantic"
    scope: str = "task"
    keywords: Sequence[str] = ()
    pattern: str = ""
    threshold: float | None = None

    def __post_init__(self) -> None:
        scope_of(self.scope)
        if self.engine not in ENGINES:
            raise ConfigError(f"there is no engine {self.engine!r}; use one of {', '.join(ENGINES)}")


class JobConfig(SimpleNamespace):
    """Parameters of a job as attributes: `Job(config=JobConfig(…))` is `Job(params={…})`."""


EventConfig = JobConfig


class ResultType(Enum):
    """Kind of a result's value. The value of an error is None."""

    error = "error"
    bool = "bool"
    literal = "literal"


@dataclass(frozen=True)
class JobResult:
    """
    Result of a job on one message.

    The value of a detection job is true if the event was found, and `metadata` has its `score` and `evidence`. `logs`
    are for people, such as the reason for an error.
    """

    value: Any
    result_type: ResultType
    logs: Sequence[Any] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)
    job_id: str | None = None


def scope_of(name: str) -> str:
    """Return the server's name of a scope: "input", "output" or "task". Raises ConfigError."""
    if name not in _SCOPES:
        raise ConfigError(f"the lab has no scope {name!r}; use one of {', '.join(_SCOPES)}")
    return _SCOPES[name]
