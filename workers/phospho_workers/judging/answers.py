"""The answers of a judge: their JSON Schema, and how the text of an LLM's answer is read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from phospho_schemas.messages import EventDefinition


@dataclass(frozen=True)
class Answer:
    """The judgement on one definition."""

    is_there: bool
    score: float = 1.0
    value: float | None = None
    category: str = ""


def answers_schema(definitions: Mapping[str, EventDefinition]) -> dict[str, Any]:
    """Return the JSON Schema of the answers on definitions by key, in the subset that LLM servers enforce."""
    answers = {key: _answer_schema(definition) for key, definition in definitions.items()}
    return _object({"answers": _object(answers)})


def read_answers(text: str, definitions: Mapping[str, EventDefinition]) -> dict[str, Answer]:
    """
    Return the answers in the text of an LLM, by the name of the definition.

    An answer that has not exactly the form of the schema is left out; a text that is not JSON has none.
    """
    by_key = _answers_by_key(text)
    answers = {definition.name: _answer(definition, by_key.get(key)) for key, definition in definitions.items()}
    return {name: answer for name, answer in answers.items() if answer is not None}


def _answer_schema(definition: EventDefinition) -> dict[str, Any]:
    yes: dict[str, Any] = {"answer": {"type": "string", "enum": ["yes"]}}
    if definition.score_range.type == "range":
        yes["value"] = {"type": "number"}
    elif definition.score_range.type == "category":
        yes["category"] = {"type": "string", "enum": definition.score_range.categories}
    else:
        return _object({"answer": {"type": "string", "enum": ["yes", "no"]}})
    return {"anyOf": [_object({"answer": {"type": "string", "enum": ["no"]}}), _object(yes)]}


def _object(properties: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": dict(properties),
        "required": list(properties),
        "additionalProperties": False,
    }


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _No(_Strict):
    answer: Literal["no"]


class _Yes(_Strict):
    answer: Literal["yes"]


class _YesInRange(_Yes):
    value: Annotated[float, Field(allow_inf_nan=False)]


class _YesOfCategory(_Yes):
    category: str


def _answers_by_key(text: str) -> Mapping[str, Any]:
    """Return the answers in a text by their keys. A key that is given twice makes the whole text invalid."""
    try:
        document = json.loads(text, object_pairs_hook=_distinct, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(document, dict) or set(document) != {"answers"} or not isinstance(document["answers"], dict):
        return {}
    return document["answers"]


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({key for key, _ in pairs}) != len(pairs):
        raise ValueError("a key is given twice")
    return dict(pairs)


def _refuse_constant(constant: str) -> float:
    raise ValueError(f"{constant} is not JSON")


def _answer(definition: EventDefinition, value: Any) -> Answer | None:
    try:
        if isinstance(value, dict) and value.get("answer") == "no":
            _No.model_validate(value)
            return Answer(False)
        return _affirmative(definition, value)
    except ValidationError:
        return None


def _affirmative(definition: EventDefinition, value: Any) -> Answer | None:
    score_range = definition.score_range
    if score_range.type == "range":
        number = _YesInRange.model_validate(value).value
        return Answer(True, value=number) if score_range.min <= number <= score_range.max else None
    if score_range.type == "category":
        category = _YesOfCategory.model_validate(value).category
        return Answer(True, category=category) if category in score_range.categories else None
    _Yes.model_validate(value)
    return Answer(True)
