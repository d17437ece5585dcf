"""The LLM engine: detection makes every text a candidate, and the judge job asks an LLM about it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from phospho_schemas.definitions.engines import EngineSpec, engine_spec
from phospho_schemas.messages import EventDefinition
from phospho_workers.detection.engines.engine import NO_MATCHES, Match, Matches
from phospho_workers.detection.text.sides import Side, reads_side


class LlmEngine:
    """Find nothing, and make each text that is not blank a candidate for each definition."""

    spec: ClassVar[EngineSpec] = engine_spec("llm")

    def __init__(self, definitions: Sequence[EventDefinition]) -> None:
        self._definitions = definitions

    @staticmethod
    def refusal(definition: EventDefinition) -> str | None:
        if not definition.description.strip():
            return "it has no description: say in plain words what happens"
        if definition.scope == "session" or definition.is_last_task or definition.context_turns:
            return "the LLM reads one task at a time: choose the scope input, output, task or system_prompt"
        return None

    @staticmethod
    def warning(definition: EventDefinition) -> str | None:
        return None

    def match(self, texts: Sequence[str], side: Side, other_sides: Sequence[str] = ()) -> Sequence[Matches]:
        doubtful = [
            Match(definition, 0.0, "", is_found=False, doubt=1.0)
            for definition in self._definitions
            if reads_side(definition, side)
        ]
        return [doubtful if text.strip() else NO_MATCHES for text in texts]
