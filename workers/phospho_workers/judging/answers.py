"""The answers of a judge: their JSON Schema, and how the text of an LLM's answer is read."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
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

    The text may have thoughts, a sentence or a fence around its one JSON object. `verdict` passes for `answer`. An
    answer that has not exactly the form of the schema is left out; a text with no such object, or with two that
    differ, has none.
    """
    by_key = _answers_by_key(text)
    answers = {definition.name: _answer(definition, by_key.get(key)) for key, definition in definitions.items()}
    return {name: answer for name, answer in answers.items() if answer is not None}


def unreadable_reason(text: str) -> str:
    """Return what a text without valid answers is, without quoting it."""
    if not text.strip():
        return "its answer is empty"
    if not _visible(text).strip():
        return "its answer ends in the middle of its thoughts"
    if not any(True for _ in _objects_in(_visible(text))):
        return "its answer has no JSON object"
    return "its answer is JSON of another form than was asked for"


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


# Models that see no schema also call their answers verdicts. Their keys say whether they are meant.
_ANSWERS_NAMES = frozenset({"answers", "verdicts"})
_THOUGHTS = re.compile(r"<(think|thinking|thought|reasoning)>.*?(?:</\1>|$)", re.DOTALL | re.IGNORECASE)
# A text of braces alone would be tried at every one of them.
_MAX_OBJECTS = 200


def _answers_by_key(text: str) -> Mapping[str, Any]:
    """Return the answers in a text by their keys; a key that is given twice makes its object invalid."""
    documents = [document for document in _objects_in(_visible(text)) if document.keys() & _ANSWERS_NAMES]
    if not documents or any(document != documents[0] for document in documents) or len(documents[0]) != 1:
        return {}
    [answers] = documents[0].values()
    return {key: _in_our_words(answer) for key, answer in answers.items()} if isinstance(answers, dict) else {}


def _in_our_words(answer: Any) -> Any:
    """Return an answer that a model called its verdict as the schema has it."""
    if not isinstance(answer, dict) or "answer" in answer or "verdict" not in answer:
        return answer
    return {"answer" if name == "verdict" else name: value for name, value in answer.items()}


def _visible(text: str) -> str:
    """Return a text without the thoughts that a model writes before its answer; unclosed ones never end."""
    return _THOUGHTS.sub("", text)


def _objects_in(text: str) -> Iterator[dict[str, Any]]:
    """Yield the JSON objects in a text that are in no other object."""
    begin = text.find("{")
    for _ in range(_MAX_OBJECTS):
        if begin < 0:
            return
        try:
            document, end = _DECODER.raw_decode(text, begin)
        except (ValueError, RecursionError):
            document, end = None, begin + 1
        if isinstance(document, dict):
            yield document
        begin = text.find("{", end)


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({key for key, _ in pairs}) != len(pairs):
        raise ValueError("a key is given twice")
    return dict(pairs)


def _refuse_constant(constant: str) -> float:
    raise ValueError(f"{constant} is not JSON")


_DECODER = json.JSONDecoder(object_pairs_hook=_distinct, parse_constant=_refuse_constant)


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
