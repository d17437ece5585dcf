"""What goes into a job and comes out of it: messages, definitions and results."""

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
# The server's scopes, and the names that upstream has for them.
_SCOPES = {
    "task": "task",
    "input": "input",
    "output": "output",
    "task_input_only": "input",
    "task_output_only": "output",
}


class Sides(NamedTuple):
    """The two texts that the server's engines read of a task; empty where there is none."""

    input: str
    output: str


@dataclass(frozen=True)
class Message:
    """One turn of a conversation, with the turns before it, the oldest first."""

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
        Make a message of a task read back from the server, or of what `log` returned.

        It is the task's output, with the input before it; the input itself where there is no output. Its id
        is that of the task.
        """
        content: Mapping[str, Any] = task if isinstance(task, Mapping) else task.content
        known = dict(metadata if metadata is not None else content.get("metadata") or {})
        task_id, asked, answered = str(content["task_id"]), content["input"], content.get("output")
        if not answered:
            return cls(asked, "User", previous_messages, known, task_id)
        before = (*previous_messages, cls(asked, "User", previous_messages, known, f"input_{task_id}"))
        return cls(answered, "Assistant", before, known, task_id)

    @property
    def is_of_assistant(self) -> bool:
        """Whether the assistant said it; what has no role was said by the user."""
        return (self.role or "").lower() in _ASSISTANTS

    def sides(self) -> Sides:
        """Return the message as the server sees a task: what the user said, and what was answered to it."""
        if not self.is_of_assistant:
            return Sides(self.content, "")
        last = self.previous_messages[-1] if self.previous_messages else None
        return Sides("" if last is None or last.is_of_assistant else last.content, self.content)

    def context(self) -> Sequence[Message]:
        """Return the messages before those of `sides`, the oldest first."""
        is_answer = self.is_of_assistant and bool(self.sides().input)
        return self.previous_messages[:-1] if is_answer else self.previous_messages

    def as_list(self) -> list[Message]:
        """Return the conversation up to this message, the oldest first."""
        return [*self.previous_messages, self]

    def transcript(self, with_role: bool = True, with_previous_messages: bool = False) -> str:
        """Return the message as text, a line for each turn."""
        told = self.as_list() if with_previous_messages else [self]
        return "\n".join(f"{one.role}: {one.content}" if with_role else one.content for one in told)


@dataclass(frozen=True)
class EventDefinition:
    """
    An event to look for in one task: the fields of the server's definitions that say so, meant as there.

    `engine` is "keyword" (needs `keywords`), "regex" (`pattern`, in RE2's syntax), "semantic" or "llm" (both
    `description`). `scope` is "input", "output" or "task", which is either of the two. `threshold`, in
    [0, 1], is that of "semantic". What the server looks for in whole sessions, last tasks, turns with their
    context or system prompts is not for the lab, which reads one task at a time.

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
            raise ConfigError(f"there is no engine {self.engine!r}; there are {', '.join(ENGINES)}")


class JobConfig(SimpleNamespace):
    """The parameters of a job as attributes: `Job(config=JobConfig(…))` is `Job(params={…})`."""


EventConfig = JobConfig


class ResultType(Enum):
    """What a result's value is. The value of an error is None."""

    error = "error"
    bool = "bool"
    literal = "literal"


@dataclass(frozen=True)
class JobResult:
    """
    What a job says of one message.

    Of detection the value tells whether the event was found, and `metadata` has its `score` and `evidence`.
    `logs` are for people: of an error, the reason.
    """

    value: Any
    result_type: ResultType
    logs: Sequence[Any] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)
    job_id: str | None = None


def scope_of(name: str) -> str:
    """Return the server's name of a scope: "input", "output" or "task". Raises ConfigError."""
    if name not in _SCOPES:
        raise ConfigError(f"the lab has no scope {name!r}; it has {', '.join(_SCOPES)}")
    return _SCOPES[name]
