"""Candidates: the matches that a judge may be asked about, stored with the analysis of their task."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

from phospho_schemas.definitions.engines import engine_spec
from phospho_schemas.ids import derived_id, event_id
from phospho_workers.detection.engines.engine import Match
from phospho_workers.detection.text.sides import texts_of

# Of a task with more, the most doubtful are kept; of equally doubtful ones, the first by name.
MAX_CANDIDATES = 64
_DIGITS = 4

Task = Mapping[str, Any]


def candidates(task: Task, matches: Sequence[Match], llm_sample: float) -> list[dict[str, Any]]:
    """Return the Candidate objects of a task, by name, at most 64. The LLM engine reads `llm_sample` of all tasks."""
    if not matches:
        return []
    is_in_sample = is_sampled(task["task_id"], llm_sample)
    uncertain = [match for match in matches if _is_candidate(match, is_in_sample)]
    if len(uncertain) > MAX_CANDIDATES:
        most_doubtful = sorted(uncertain, key=lambda match: (-match.doubt, match.definition.name))[:MAX_CANDIDATES]
        uncertain = sorted(most_doubtful, key=lambda match: match.definition.name)
    contents = {scope: content_of(task, scope) for scope in {match.definition.scope for match in uncertain}}
    return [_candidate(task, match, contents[match.definition.scope]) for match in uncertain]


def _is_candidate(match: Match, is_in_sample: bool) -> bool:
    """
    Return True if a judge may be asked about a match.

    An engine without doubt is checked where its definition names a judge: then every event that it finds.
    """
    spec, judge = engine_spec(match.definition.engine), match.definition.judge
    if spec.is_decided_by_llm:
        return is_in_sample
    if judge == "none":
        return False
    is_checked = judge != "project" and not spec.has_doubt
    return match.doubt > 0.0 or (is_checked and match.is_found)


def is_sampled(task_id: str, share: float) -> bool:
    """Return True if a task is among `share` of all tasks; the answer for a task is always the same."""
    number = int.from_bytes(hashlib.blake2b(task_id.encode("utf-8", "replace"), digest_size=4).digest(), "big")
    return number < share * 2**32


def content_of(task: Task, scope: str) -> str:
    """Return 16 hexadecimal digits derived from the texts of a task that a scope reads, and from nothing else."""
    return derived_id("content", *chain.from_iterable(texts_of(task, scope).items()))[:16]


def _candidate(task: Task, match: Match, content: str) -> dict[str, Any]:
    definition = match.definition
    return {
        "id": event_id(task["project_id"], task["task_id"], definition.name),
        "name": definition.name,
        "definition_version": definition.version,
        "engine": definition.engine,
        "scope": definition.scope,
        "score": round(match.score, _DIGITS),
        "doubt": round(match.doubt, _DIGITS),
        "content": content,
    }
