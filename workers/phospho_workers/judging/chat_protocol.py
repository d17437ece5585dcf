"""The requests and responses of OpenAI's chat API, in the dialects that servers understand."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, Field, ValidationError

from phospho_workers.judging.prompts import Question

# English; only for servers that report no usage.
_BYTES_PER_TOKEN = 3


@dataclass(frozen=True)
class Dialect:
    """The parts of a request beside the model and the messages."""

    has_schema: bool = False
    has_json_mode: bool = False
    limit_name: str = "max_tokens"
    temperature: float | None = 0.0


# The strictest first: OpenAI and vLLM, OpenAI's models that reason, older servers, the least that any server accepts.
DIALECTS = (
    Dialect(has_schema=True),
    Dialect(has_schema=True, limit_name="max_completion_tokens", temperature=None),
    Dialect(has_json_mode=True),
    Dialect(),
    Dialect(temperature=None),
)


def plainer_dialect(dialect: int) -> int | None:
    """Return the next dialect that asks the server for less form, None after the plainest."""
    form = DIALECTS[dialect].has_schema, DIALECTS[dialect].has_json_mode
    plainer = range(dialect + 1, len(DIALECTS))
    return next(
        (other for other in plainer if (DIALECTS[other].has_schema, DIALECTS[other].has_json_mode) != form), None
    )


class _Reply(BaseModel):
    content: str


class _Choice(BaseModel):
    message: _Reply


class _Completion(BaseModel):
    choices: Annotated[list[_Choice], Field(min_length=1)]


class Usage(BaseModel):
    """Tokens, as the API names them."""

    prompt_tokens: Annotated[int, Field(ge=0, le=10_000_000)]
    completion_tokens: Annotated[int, Field(ge=0, le=10_000_000)]


def request_body(model: str, question: Question, dialect: Dialect) -> bytes:
    """Return the JSON body of a request."""
    body: dict[str, Any] = {
        "model": model,
        "messages": question.messages(),
        dialect.limit_name: question.max_answer_tokens,
    }
    if dialect.temperature is not None:
        body["temperature"] = dialect.temperature
    if dialect.has_schema:
        schema = {"name": "answers", "strict": True, "schema": question.schema()}
        body["response_format"] = {"type": "json_schema", "json_schema": schema}
    elif dialect.has_json_mode:
        body["response_format"] = {"type": "json_object"}
    return json.dumps(body).encode()


def completion_text(body: bytes) -> str:
    """Return the text that the model wrote, empty where the body is no completion."""
    try:
        return _Completion.model_validate_json(body).choices[0].message.content
    except ValidationError:
        return ""


def usage_of(question: Question, body: bytes, text: str) -> Usage:
    """Return the tokens that the server counted, or else an estimate: the most there can be where there is no text."""
    with suppress(ValueError, LookupError, TypeError, RecursionError):
        return Usage.model_validate(json.loads(body)["usage"])
    if not text:
        return Usage(prompt_tokens=question.max_prompt_tokens, completion_tokens=question.max_answer_tokens)
    prompt_tokens = question.max_prompt_tokens // _BYTES_PER_TOKEN
    return Usage(prompt_tokens=prompt_tokens, completion_tokens=len(text.encode()) // _BYTES_PER_TOKEN)
