"""Nested runs of a framework such as LangChain, joined to tasks. Imports no framework."""

from __future__ import annotations

import threading
from typing import Any, Callable

from .._content.json_values import to_jsonable
from ..client import Client

__all__ = ["Runs"]

# An agent in a loop must not grow without bound.
MAX_STEPS = 100
MAX_RUNS = 10_000


class Runs:
    """
    Runs in progress, by their id. Thread-safe.

    The outermost run is a task. The runs inside it are its `steps`, in its metadata. When there are more than
    MAX_RUNS outermost runs, the oldest is forgotten.
    """

    def __init__(self, get_client: Callable[[], Client | None], metadata: dict[str, Any]) -> None:
        self._get_client = get_client
        self._metadata = metadata
        self._roots: dict[Any, _Run] = {}
        self._root_of: dict[Any, Any] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        """Return the number of outermost runs in progress."""
        return len(self._roots)

    def begin(self, kind: str, run_id: Any, parent_run_id: Any, input: Any) -> None:
        """Begin a run of *kind* ("chain", "llm", "tool", "retriever")."""
        with self._lock:
            root_id = self._root_of.get(parent_run_id, parent_run_id)
            if root_id is None or root_id not in self._roots:
                self._begin_root(run_id, input)
                return
            self._root_of[run_id] = root_id
            root = self._roots[root_id]
            root.run_ids.append(run_id)
            if len(root.steps) < MAX_STEPS:
                root.steps[run_id] = {"kind": kind, "input": to_jsonable(input)}

    def end(self, run_id: Any, output: Any, error: BaseException | None = None) -> None:
        """End a run. The end of the outermost run logs the task."""
        result = {"output": to_jsonable(output)} if error is None else {"error": repr(error)}
        with self._lock:
            root = self._roots.get(self._root_of.get(run_id))
            if root is None:
                return
            if self._root_of[run_id] != run_id:
                root.steps.get(run_id, {}).update(result)
                return
            self._forget(run_id)
        self._log(root, output, error)

    def _begin_root(self, run_id: Any, input: Any) -> None:
        if len(self._roots) >= MAX_RUNS:
            self._forget(next(iter(self._roots)))
        self._roots[run_id] = _Run(run_id, input)
        self._root_of[run_id] = run_id

    def _forget(self, root_id: Any) -> None:
        for run_id in self._roots.pop(root_id).run_ids:
            self._root_of.pop(run_id, None)

    def _log(self, root: _Run, output: Any, error: BaseException | None) -> None:
        client = self._get_client()
        if client is None:
            return
        extra = dict(self._metadata)
        if root.steps:
            extra["steps"] = list(root.steps.values())
        if error is not None:
            extra["error"] = repr(error)
        client.task_log.submit_quietly(client.task_log.call_of(root.input, output, extra))


class _Run:
    """An outermost run: its input, and the runs inside it, by id and in their order."""

    def __init__(self, run_id: Any, input: Any) -> None:
        self.input = input
        self.run_ids = [run_id]
        self.steps: dict[Any, dict[str, Any]] = {}
