"""What an LLM's judgements on tasks of the past would cost: their questions are made, and not asked."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from phospho_schemas.messages import EventDefinition
from phospho_workers.detection.text.sides import texts_of
from phospho_workers.judging.prompts import Question
from phospho_workers.judging.selection import OpenCandidate, OpenText, candidates_to_ask

# Of English and JSON, as tokenizers are known to make them; an estimate is one.
_CHARACTERS_PER_TOKEN = 4
# Of one answer with its key, as models answer that do not think aloud.
_TOKENS_OF_ANSWER = 32
# As long as that of a real question.
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
    Return what it costs to ask about a definition in those of `tasks` in which it is a candidate, by their analyses.

    A text that several tasks say is asked about once. `others` are what a call may ask along.
    """
    known = {one.name: one for one in (*others, definition)}
    asked: dict[str, Question] = {}
    for task, row in zip(tasks, analyses, strict=True):
        for found in row["candidates"]:
            if found["name"] == definition.name and found["content"] not in asked:
                asked[found["content"]] = _question(definition, known, task, found["content"])
    return JudgeCost(
        len(asked),
        sum(map(_tokens_in, asked.values())),
        sum(_TOKENS_OF_ANSWER * len(one.definitions) for one in asked.values()),
    )


def _question(
    definition: EventDefinition, known: Mapping[str, EventDefinition], task: Mapping[str, Any], content: str
) -> Question:
    candidate = OpenCandidate(task["task_id"], definition.name, definition.version, definition.scope, content, 1.0)
    text = OpenText(task["task_id"], definition.scope, content, [candidate])
    about = [known[one.name] for one in candidates_to_ask(text, list(known.values()), frozenset())]
    return Question(about, texts_of(task, definition.scope), _NONCE)


def _tokens_in(question: Question) -> int:
    said = sum(len(message["content"]) for message in question.messages())
    return (said + len(json.dumps(question.schema()))) // _CHARACTERS_PER_TOKEN
