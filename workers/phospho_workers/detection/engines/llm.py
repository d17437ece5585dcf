"""Definitions that only a language model decides: the stream says where to ask, and a job asks."""

from __future__ import annotations

from collections.abc import Sequence

from phospho_schemas.messages import EventDefinition
from phospho_workers.detection.engine import NO_HITS, Hit, Hits, Side, looks_at


class LlmEngine:
    """Finds nothing and doubts everything: each text that says something is a candidate for each definition."""

    def __init__(self, definitions: Sequence[EventDefinition]) -> None:
        self._definitions = definitions

    @staticmethod
    def refusal(definition: EventDefinition) -> str | None:
        if not definition.description.strip():
            return "it has no description: say in plain words what happens"
        if definition.scope == "session" or definition.is_last_task or definition.context_turns:
            return "the LLM reads one task at a time: choose the scope input, output, task or system_prompt"
        return None

    def find(self, texts: Sequence[str], side: Side, beside: Sequence[str] = ()) -> Sequence[Hits]:
        anything = [Hit(one, 0.0, "", False, 1.0) for one in self._definitions if looks_at(one, side)]
        return [anything if text.strip() else NO_HITS for text in texts]
