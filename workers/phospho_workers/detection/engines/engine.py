"""The interface of an engine: it matches all definitions of one kind against many texts at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, NamedTuple, Protocol

from phospho_schemas.definitions.engines import EngineSpec
from phospho_schemas.messages import EventDefinition
from phospho_workers.detection.learning.classifiers import Classifier
from phospho_workers.detection.semantic.student import Student
from phospho_workers.detection.text.sides import Side

MAX_EVIDENCE_CHARACTERS = 200


class Match(NamedTuple):
    """
    An engine's raw result for one definition and one text. `score` and `doubt` are in [0, 1].

    `doubt` is how unsure the engine is: 0 not at all, 1 where it knows nothing. A match that is not found (`is_found`
    is False) is returned for its doubt alone, so that a judge can be asked.
    """

    definition: EventDefinition
    score: float
    evidence: str
    is_found: bool = True
    doubt: float = 0.0


Matches = Sequence[Match]
NO_MATCHES: Matches = ()


class Engine(Protocol):
    """
    All definitions of one project and one kind, compiled once and then only read. Safe to share between threads.

    Pure: the matches in a text depend on that text, its other side and the definitions alone, to the last bit, and
    never on the other texts of the batch.
    """

    spec: ClassVar[EngineSpec]

    def __init__(
        self, definitions: Sequence[EventDefinition], *learnt: Mapping[str, Classifier] | Student | None
    ) -> None:
        """
        Compile definitions that `refusal` accepts.

        An engine that learns also gets its classifiers, by name, and the student of the project.
        """

    @staticmethod
    def refusal(definition: EventDefinition) -> str | None:
        """Return why this engine can't take a definition, for the person who wrote it, or None."""

    @staticmethod
    def warning(definition: EventDefinition) -> str | None:
        """Return what a definition that `refusal` accepts may do against the wish of its author, or None."""

    def match(self, texts: Sequence[str], side: Side, other_sides: Sequence[str] = ()) -> Sequence[Matches]:
        """
        Return for each text, in order, the matches of the definitions that read `side`.

        `other_sides` has for each text the other side of its task (see OTHER_SIDE), or is empty where that is unknown.
        """


def shortened(evidence: str) -> str:
    """Return evidence that fits an event: one line of at most 200 characters."""
    line = " ".join(evidence[: 4 * MAX_EVIDENCE_CHARACTERS].split())
    if len(line) <= MAX_EVIDENCE_CHARACTERS:
        return line
    return line[: MAX_EVIDENCE_CHARACTERS - 1] + "…"
