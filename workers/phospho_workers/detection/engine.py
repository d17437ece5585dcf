"""What an engine is: a file in `engines/` that finds many definitions in many texts at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Literal, NamedTuple, Protocol

from phospho_schemas.messages import EventDefinition

Side = Literal["input", "output", "system_prompt"]
SIDES: tuple[Side, ...] = ("input", "output", "system_prompt")
# The side that tells what is meant by another: the answer to what was asked, and the question to an answer.
BESIDE: Mapping[str, Side] = MappingProxyType({"input": "output", "output": "input"})
MAX_EVIDENCE_CHARACTERS = 200


class Hit(NamedTuple):
    """
    A definition that an engine found in one text, or nearly. `score` is in [0, 1].

    `doubt` says how unsure the engine is, from 0 to 1, which is where it knows nothing. What is not found is told
    for its doubt alone: somebody else may be asked.
    """

    definition: EventDefinition
    score: float
    evidence: str
    is_found: bool = True
    doubt: float = 0.0


Hits = Sequence[Hit]
NO_HITS: Hits = ()


class Engine(Protocol):
    """
    All definitions of one project and one kind, compiled once, then only read: safe to share between threads.

    Pure: what is found in a text depends on that text, what is beside it and the definitions alone, to the last bit,
    and never on the other texts of the batch.
    """

    def __init__(self, definitions: Sequence[EventDefinition]) -> None:
        """Compile definitions that `refusal` lets pass."""

    @staticmethod
    def refusal(definition: EventDefinition) -> str | None:
        """Return why this engine can't take a definition, for the person who wrote it; None where it can."""

    def find(self, texts: Sequence[str], side: Side, beside: Sequence[str] = ()) -> Sequence[Hits]:
        """
        Return for each text, in order, the definitions that look at `side` and are found in it, or nearly.

        `beside` has for each text what its task says on the side of BESIDE, or is empty: then that is not known.
        """


def looks_at(definition: EventDefinition, side: Side) -> bool:
    """Tell whether a definition reads that side of a task; the scope `task` reads input and output, each by itself."""
    return definition.scope == side or (definition.scope == "task" and side != "system_prompt")


def shortened(evidence: str) -> str:
    """Return evidence that fits an event: one line of at most 200 characters."""
    line = " ".join(evidence[: 4 * MAX_EVIDENCE_CHARACTERS].split())
    if len(line) <= MAX_EVIDENCE_CHARACTERS:
        return line
    return line[: MAX_EVIDENCE_CHARACTERS - 1] + "…"
