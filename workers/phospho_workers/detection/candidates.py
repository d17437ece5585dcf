"""Which hits a judgement may be asked about, and what they are known by."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

from phospho_schemas.ids import derived_id, event_id
from phospho_schemas.messages import EventDefinition
from phospho_workers.detection.engine import SIDES, Hit, Side

# The most doubtful of a task; a project with more definitions that doubt everything asks about the first by name.
MAX_CANDIDATES = 64
_DOUBT_DIGITS = 4

Task = Mapping[str, Any]


def candidates(task: Task, hits: Sequence[Hit], llm_sample: float) -> list[dict[str, Any]]:
    """Return Candidate objects of a task, by name, 64 at most. `llm_sample` is the share that the LLM engine reads."""
    is_read = is_sampled(task["task_id"], llm_sample)
    open_hits = [hit for hit in hits if is_open(hit) and (is_read or hit.definition.engine != "llm")]
    if len(open_hits) > MAX_CANDIDATES:
        doubtful = sorted(open_hits, key=lambda hit: (-hit.doubt, hit.definition.name))[:MAX_CANDIDATES]
        open_hits = sorted(doubtful, key=lambda hit: hit.definition.name)
    contents = {scope: content_of(task, scope) for scope in {hit.definition.scope for hit in open_hits}}
    return [_candidate(task, hit, contents[hit.definition.scope]) for hit in open_hits]


def is_open(hit: Hit) -> bool:
    """
    Tell whether a hit is one to ask about.

    Of an engine that is never in doubt, what it found is, where its definition asks for a judgement by name.
    """
    opinion = hit.definition.judge
    if opinion == "none" and hit.definition.engine != "llm":
        return False
    is_checked = opinion in ("encoder", "llm") and hit.definition.engine in ("keyword", "regex")
    return hit.doubt > 0.0 or (is_checked and hit.is_found)


def is_sampled(task_id: str, share: float) -> bool:
    """Tell whether a task is among `share` of all tasks: always the same ones."""
    place = int.from_bytes(hashlib.blake2b(task_id.encode("utf-8", "replace"), digest_size=4).digest(), "big")
    return place < share * 2**32


def content_of(task: Task, scope: str) -> str:
    """Return 16 hexadecimal digits that follow from the texts of a task that a scope reads, and from nothing else."""
    return derived_id("content", *chain.from_iterable(texts_of(task, scope).items()))[:16]


def texts_of(task: Task, scope: str) -> dict[Side, str]:
    """Return what a task says on the sides that a scope reads, the silent ones left out."""
    sides: tuple[Side, ...] = ("input", "output") if scope == "task" else tuple(one for one in SIDES if one == scope)
    return {side: task[side] for side in sides if task.get(side)}


def _candidate(task: Task, hit: Hit, content: str) -> dict[str, Any]:
    definition: EventDefinition = hit.definition
    return {
        "id": event_id(task["project_id"], task["task_id"], definition.name),
        "name": definition.name,
        "definition_version": definition.version,
        "engine": definition.engine,
        "scope": definition.scope,
        "score": round(hit.score, _DOUBT_DIGITS),
        "doubt": round(hit.doubt, _DOUBT_DIGITS),
        "content": content,
    }
