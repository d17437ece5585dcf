"""
The jobs that come with the lab: is an event in a message, by each of the server's engines or by an LLM.

A job is a function of a message and parameters; write your own beside these. Of a message the engines read
what the server reads of a task: the user's text as `input`, the assistant's as `output`, not what was before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..config import RetryPolicy
from ._engines import Sought, find
from ._judge import JUDGE_RETRY, Judge, NoVerdictError, question
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
    """Find whole words and phrases, whatever their case; *keywords* is a list, or text with commas."""
    listed = tuple(keywords.split(",") if isinstance(keywords, str) else keywords)
    return _detected(message, Sought(event_name, "keyword", scope_of(event_scope), keywords=listed))


def regex_event_detection(
    message: Message, event_name: str, regex_pattern: str, event_scope: str = "task"
) -> JobResult:
    """Find a pattern in RE2's syntax; case counts unless it begins with `(?i)`."""
    return _detected(message, Sought(event_name, "regex", scope_of(event_scope), pattern=regex_pattern))


def semantic_event_detection(
    message: Message,
    event_name: str,
    event_description: str,
    threshold: float | None = None,
    event_scope: str = "task",
    rivals: Sequence[tuple[str, str]] = (),
) -> JobResult:
    """
    Find what means the same as a description in plain words; *threshold*, in [0, 1], has a default.

    *rivals* are description and scope of the other events of a project, against which this one is weighed.
    """
    scope = scope_of(event_scope)
    others = tuple((text, scope_of(of_rival)) for text, of_rival in rivals)
    sought = Sought(event_name, "semantic", scope, event_description, threshold=threshold, rivals=others)
    return _detected(message, sought)


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
    Ask a language model, at any address that speaks OpenAI's chat API; blocks.

    Without *base_url* and *api_key* the environment's OPENAI_BASE_URL and OPENAI_API_KEY are used. Each wait
    for the server ends after *timeout_s*; it is asked *attempts* times at most. An answer in any form but the
    one asked for is an error and never a verdict. *extra_body* adds to the request, and takes out of it what
    it sets to None.
    """
    asked = question(message, event_name, event_description, scope_of(event_scope))
    if asked is None:
        return JobResult(False, ResultType.bool, logs=("there is no text of this scope",))
    judge = Judge(model, base_url, api_key, timeout_s, attempts, retry, extra_body)
    named = {"engine": "llm", "model": model}
    try:
        return JobResult(judge.verdict(asked), ResultType.bool, metadata=named)
    except NoVerdictError as error:
        return JobResult(None, ResultType.error, logs=(str(error),), metadata=named)


def _detected(message: Message, sought: Sought) -> JobResult:
    found = find(sought, message.sides())
    named = {"engine": sought.engine}
    if found is None:
        return JobResult(False, ResultType.bool, metadata=named)
    return JobResult(True, ResultType.bool, metadata={**named, **found._asdict()})
