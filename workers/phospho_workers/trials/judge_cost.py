"""The cost of an LLM's judgements on stored tasks, estimated from the questions that it would be asked."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from phospho_schemas.messages import EventDefinition
from phospho_workers.detection.text.sides import texts_of
from phospho_workers.judging.prompts import Question
from phospho_workers.judging.selection import OpenCandidate, OpenText, candidates_to_ask

# A rough figure for English and JSON.
_CHARACTERS_PER_TOKEN = 4
# One answer with its key, of a model that does not think aloud.
_TOKENS_OF_ANSWER = 32
# As long as the nonce of a real question.
_NONCE = "0" * 8


class JudgeCost(NamedTuple):
    """Calls, and the tokens of their questions and answers."""

    calls: int = 0
    tokens_in: int = 0
    tokens_out: int = 0


def judge_cost(
    definition: EventDefinition,
    others: Sequence[EventDefinition],
    tasks: Sequence[Mapping[str, Any]],
    analyses: Sequence[Mapping[str, Any]],
) -> JudgeCost:
    """
    Return the cost of judging a definition in those of `tasks` that are candidates by their analyses.

    A text that several tasks share is asked about once. `others` are the definitions that a call may ask about too.
    """
    definitions = {other.name: other for other in (*others, definition)}
    questions: dict[str, Question] = {}
    for task, row in zip(tasks, analyses, strict=True):
        for candidate in row["candidates"]:
            if candidate["name"] == definition.name and candidate["content"] not in questions:
                questions[candidate["content"]] = _question(definition, definitions, task, candidate["content"])
    return JudgeCost(
        len(questions),
        sum(map(_tokens_in, questions.values())),
        sum(_TOKENS_OF_ANSWER * len(question.definitions) for question in questions.values()),
    )


def _question(
    definition: EventDefinition, definitions: Mapping[str, EventDefinition], task: Mapping[str, Any], content: str
) -> Question:
    candidate = OpenCandidate(task["task_id"], definition.name, definition.version, definition.scope, content, 1.0)
    text = OpenText(task["task_id"], definition.scope, content, [candidate])
    candidates = candidates_to_ask(text, list(definitions.values()), frozenset())
    about = [definitions[candidate.name] for candidate in candidates]
    return Question(about, texts_of(task, definition.scope), _NONCE)


def _tokens_in(question: Question) -> int:
    characters = sum(len(message["content"]) for message in question.messages())
    return (characters + len(json.dumps(question.schema()))) // _CHARACTERS_PER_TOKEN
