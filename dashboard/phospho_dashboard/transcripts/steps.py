"""The steps of a task that an agent took: calls of models and tools, as a tree for its page."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

MAX_STEPS = 200

Step = dict[str, Any]


def step_tree(metadata: Any) -> list[Step]:
    """
    Return the steps in `metadata.steps`, each after its parent and with its `depth`; none where it has another form.

    A step whose parent is not among them stands at the top.
    """
    steps = metadata.get("steps") if isinstance(metadata, Mapping) else None
    if not isinstance(steps, list) or not all(isinstance(step, Mapping) for step in steps):
        return []
    children: defaultdict[str, list[Mapping[str, Any]]] = defaultdict(list)
    ids = {_step_id(step) for step in steps} - {""}
    for step in steps[:MAX_STEPS]:
        parent_id = str(step.get("parent_span_id") or "")
        children[parent_id if parent_id in ids and parent_id != _step_id(step) else ""].append(step)
    ordered = list(_descendants("", children, 0, set()))
    shown = {id(step) for step, _ in ordered}
    # Steps that name each other as parents are below nothing.
    ordered += [(step, 0) for of_parent in children.values() for step in of_parent if id(step) not in shown]
    return [_step_row(step) | {"depth": depth} for step, depth in ordered]


def _descendants(
    parent_id: str, children: Mapping[str, Sequence[Mapping[str, Any]]], depth: int, seen: set[str]
) -> Iterator[tuple[Mapping[str, Any], int]]:
    for step in children.get(parent_id, ()):
        yield step, depth
        if (step_id := _step_id(step)) and step_id not in seen:
            seen.add(step_id)
            yield from _descendants(step_id, children, min(depth + 1, 8), seen)


def _step_id(step: Mapping[str, Any]) -> str:
    return str(step.get("span_id") or "")


def _step_row(step: Mapping[str, Any]) -> Step:
    latency_ms = step.get("latency_ms")
    return {
        "name": str(step.get("name") or "step"),
        "kind": str(step.get("kind") or ""),
        "latency_ms": latency_ms if isinstance(latency_ms, (int, float)) else None,
        "input": step.get("input") or "",
        "output": step.get("output") or "",
        "error": step.get("error") or "",
    }
