"""
The declarations of the detection engines, in a table that every package can read.

The code of an engine is in `phospho_workers.detection.engines`. Code that treats engines differently asks the
declaration (`engine_spec(definition.engine).learns`) and never compares names, so that a new engine needs no change
elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from phospho_schemas.messages import EventDefinition

_LATIN_WORD = re.compile(r"[A-Za-z]{2}")


def _accept(definition: EventDefinition) -> str | None:
    return None


def _describes_in_english(definition: EventDefinition) -> str | None:
    if _LATIN_WORD.search(definition.description):
        return None
    return (
        f"the engine {definition.engine} reads English: describe the event in English words, or set engine: "
        + " or ".join(engines_with(lambda spec: spec.is_decided_by_llm))
    )


@dataclass(frozen=True)
class EngineSpec:
    """
    The properties of one engine.

    label: its name on the pages. `hint` tells people more of it, in a few words.
    required_field: the field of a definition that must say something.
    own_fields: the fields that engines without them would ignore, so that a definition may not set them there.
    learns: labels train a classifier for each definition.
    has_doubt: matches near the threshold become candidates, for a judge to confirm or reject.
    judged_with_rivals: an encoder judges a candidate against the other definitions with this property.
    evidence_is_keywords: the evidence lists whole words and phrases, not a part of the text.
    is_decided_by_llm: the engine finds nothing by itself; each text is a candidate, and only an LLM is asked.
    score_types: the values of `score_range.type` that it can give.
    max_per_project: the number of definitions that a project has room for, None without a limit.
    refusal: returns why a definition should not be stored, or None. Rules that need the engine's own code are in its
        class in `phospho_workers`.
    """

    name: str
    label: str
    required_field: str
    hint: str = ""
    own_fields: frozenset[str] = frozenset()
    learns: bool = False
    has_doubt: bool = False
    judged_with_rivals: bool = False
    evidence_is_keywords: bool = False
    is_decided_by_llm: bool = False
    score_types: frozenset[str] = frozenset({"confidence"})
    max_per_project: int | None = None
    refusal: Callable[[EventDefinition], str | None] = _accept


# By the names of `messages.Engine`, in the order in which they are listed to people.
ENGINE_SPECS: dict[str, EngineSpec] = {
    spec.name: spec
    for spec in (
        EngineSpec(
            "keyword",
            "Keywords",
            required_field="keywords",
            own_fields=frozenset({"keywords"}),
            evidence_is_keywords=True,
        ),
        EngineSpec("regex", "Regular expression", required_field="pattern", own_fields=frozenset({"pattern"})),
        EngineSpec(
            "semantic",
            "Semantic",
            required_field="description",
            hint="by meaning, no LLM",
            own_fields=frozenset({"threshold"}),
            learns=True,
            has_doubt=True,
            judged_with_rivals=True,
            # The time to compile and to score grows with the square of their number.
            max_per_project=1_000,
            refusal=_describes_in_english,
        ),
        EngineSpec(
            "llm",
            "LLM judge",
            required_field="description",
            hint="uses the LLM budget",
            has_doubt=True,
            is_decided_by_llm=True,
            score_types=frozenset({"confidence", "range", "category"}),
        ),
    )
}


def engine_spec(engine: str) -> EngineSpec:
    """Return the declaration of the engine of that name. Raises KeyError for a name that no engine has."""
    return ENGINE_SPECS[engine]


def engines_with(has_property: Callable[[EngineSpec], bool]) -> list[str]:
    """Return the names of the engines whose declaration has a property."""
    return [name for name, spec in ENGINE_SPECS.items() if has_property(spec)]


def unread_fields(engine: str) -> frozenset[str]:
    """Return the own fields of other engines that `engine` does not read; of an unknown engine, all own fields."""
    own_fields = ENGINE_SPECS[engine].own_fields if engine in ENGINE_SPECS else frozenset()
    return frozenset().union(*(spec.own_fields for spec in ENGINE_SPECS.values())) - own_fields
