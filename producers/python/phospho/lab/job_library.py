"""
The jobs that come with the lab: detection of an event in a message, by the server's engines or by an LLM.

A job is a function of a message and parameters, and you can write your own. The engines read a message as the server
reads a task: the user's text as `input` and the assistant's as `output`, without earlier messages.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..config import RetryPolicy
from ._engines import DefinitionKey, find
from ._judge import JUDGE_RETRY, Judge, NoJudgementError, question
from .models import JobResult, Message, ResultType, scope_of

__all__ = [
    "event_detection",
    "keyword_event_detection",
    "regex_event_detection",
    "semantic_event_detection",
]


def keyword_event_detection(
    message: Message, event_name: str, keywords: str | Sequence[str], event_scope: str = "task"
) -> JobResult:
    """Find whole words and phrases in any case. *keywords* is a list, or text with commas."""
    keyword_tuple = tuple(keywords.split(",") if isinstance(keywords, str) else keywords)
    return _detected(message, DefinitionKey(event_name, "keyword", scope_of(event_scope), keywords=keyword_tuple))


def regex_event_detection(
    message: Message, event_name: str, regex_pattern: str, event_scope: str = "task"
) -> JobResult:
    """Find a pattern in RE2's syntax. Case-sensitive unless it begins with `(?i)`."""
    return _detected(message, DefinitionKey(event_name, "regex", scope_of(event_scope), pattern=regex_pattern))


def semantic_event_detection(
    message: Message,
    event_name: str,
    event_description: str,
    threshold: float | None = None,
    event_scope: str = "task",
    rivals: Sequence[tuple[str, str]] = (),
) -> JobResult:
    """
    Find text that means the same as a description. *threshold* is in [0, 1].

    *rivals* are description and scope of the project's other events, which compete with this one.
    """
    scope = scope_of(event_scope)
    server_rivals = tuple((text, scope_of(rival_scope)) for text, rival_scope in rivals)
    key = DefinitionKey(event_name, "semantic", scope, event_description, threshold=threshold, rivals=server_rivals)
    return _detected(message, key)


def event_detection(
    message: Message,
    event_name: str,
    event_description: str = "",
    event_scope: str = "task",
    model: str = "gpt-4o-mini",
    base_url: str | None = None,
    api_key: str | None = None,
    timeout_s: float = 30.0,
    attempts: int = 3,
    retry: RetryPolicy = JUDGE_RETRY,
    extra_body: Mapping[str, Any] | None = None,
) -> JobResult:
    """
    Ask a language model, at any address that speaks OpenAI's chat API. Blocks.

    Without *base_url* and *api_key* the environment's OPENAI_BASE_URL and OPENAI_API_KEY are used. Each request times
    out after *timeout_s*, and is made *attempts* times at most. An answer in any form but the requested one is an
    error. Fields of *extra_body* replace those of the request; None removes a field.
    """
    asked_question = question(message, event_name, event_description, scope_of(event_scope))
    if asked_question is None:
        return JobResult(False, ResultType.bool, logs=("the message has no text in this scope",))
    judge = Judge(
        model=model,
        base_url=base_url,
        api_key=api_key,
        timeout_s=timeout_s,
        attempts=attempts,
        retry=retry,
        extra_body=extra_body,
    )
    metadata = {"engine": "llm", "model": model}
    try:
        return JobResult(judge.judge(asked_question), ResultType.bool, metadata=metadata)
    except NoJudgementError as error:
        return JobResult(None, ResultType.error, logs=(str(error),), metadata=metadata)


def _detected(message: Message, key: DefinitionKey) -> JobResult:
    match = find(key, message.sides())
    metadata = {"engine": key.engine}
    if match is None:
        return JobResult(False, ResultType.bool, metadata=metadata)
    return JobResult(True, ResultType.bool, metadata={**metadata, **match._asdict()})
