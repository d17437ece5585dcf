"""Nested runs of a framework such as LangChain, joined to tasks. Imports no framework."""

from __future__ import annotations

import threading
from typing import Any, Callable

from .._capture.steps import MAX_STEPS, Step
from .._content.logged_value import LoggedValue
from .._default.functions import init
from .._default.state import STATE
from ..client import Client

__all__ = ["Runs", "identity_of", "init_if_needed"]

MAX_RUNS = 10_000
# Of the streamed answers of an outermost run, which an agent may repeat without end.
_MAX_ANSWER_CHARACTERS = 1_000_000

# What LangChain gives as the input of a streamed chain when it starts. The input itself comes at the end.
_NO_INPUTS = ("", {"input": ""}, None)

# Names by which apps give a session and a user in a framework's metadata.
_SESSION_NAMES = ("session_id", "conversation_id", "thread_id", "chat_id")


def init_if_needed(api_key: str | None, project_id: str | None, tick: float) -> None:
    """Call `phospho.init` if there is no default client, or if a key or project is passed."""
    if api_key or project_id or STATE.client is None:
        init(api_key=api_key, project_id=project_id, tick=tick)


def identity_of(metadata: dict[str, Any]) -> dict[str, Any]:
    """Return the session and the user that a framework's metadata names."""
    session_id = next((metadata[name] for name in _SESSION_NAMES if metadata.get(name)), None)
    identity = {"session_id": session_id, "user_id": metadata.get("user_id")}
    return {name: value for name, value in identity.items() if value}


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

    def begin(
        self,
        kind: str,
        run_id: Any,
        parent_run_id: Any,
        input: Any,
        name: str = "",
        fields: dict[str, Any] | None = None,
    ) -> None:
        """Begin a run of *kind* ("chain", "llm", "tool", "retriever"). *fields* are logged with an outermost one."""
        with self._lock:
            root_id = self._root_of.get(parent_run_id, parent_run_id)
            if root_id is None or root_id not in self._roots:
                self._begin_root(run_id, _Run(run_id, input, fields or {}))
                return
            self._root_of[run_id] = root_id
            root = self._roots[root_id]
            root.run_ids.append(run_id)
            if len(root.steps) < MAX_STEPS:
                root.steps[run_id] = Step(kind, input, name, step_id=run_id, parent_id=parent_run_id)
            if kind == "llm":
                root.requests.append(input)

    def add_text(self, run_id: Any, text: str) -> None:
        """Add a piece of a streamed answer, which is its output if the app leaves the stream before its end."""
        with self._lock:
            root = self._roots.get(self._root_of.get(run_id))
            if root is not None:
                root.add_text(run_id, text)

    def end(self, run_id: Any, output: Any, error: BaseException | None = None, input: Any = None) -> None:
        """End a run. *input* replaces one that was missing at its start. The end of the outermost logs the task."""
        error = None if isinstance(error, GeneratorExit) else error  # the app has left a stream
        with self._lock:
            root = self._roots.get(self._root_of.get(run_id))
            if root is None:
                return
            if self._root_of[run_id] != run_id:
                self._end_step(root.steps.get(run_id), output, error, input)
                return
            self._forget(run_id)
        if root.input in _NO_INPUTS and input is not None:
            root.input = input
        self._log(root, output, error)

    def _end_step(self, step: Step | None, output: Any, error: BaseException | None, input: Any) -> None:
        if step is not None:
            if input is not None and step.fields["input"] in _NO_INPUTS:
                step.fields["input"] = LoggedValue(input).json
            step.end(output, error)

    def _begin_root(self, run_id: Any, run: _Run) -> None:
        if len(self._roots) >= MAX_RUNS:
            self._forget(next(iter(self._roots)))
        self._roots[run_id] = run
        self._root_of[run_id] = run_id

    def _forget(self, root_id: Any) -> None:
        for run_id in self._roots.pop(root_id).run_ids:
            self._root_of.pop(run_id, None)

    def _log(self, root: _Run, output: Any, error: BaseException | None) -> None:
        client = self._get_client()
        if client is None:
            return
        if output is None:
            output = root.text_so_far()
        extra = {**root.figures(output), **self._metadata, **root.fields}
        if root.steps:
            extra["steps"] = [step.fields for step in root.steps.values()]
        if error is not None:
            extra["error"] = repr(error)
        client.task_log.submit_quietly(client.task_log.call_of(root.input, output, extra))


class _Run:
    """An outermost run: its input, the requests to models in it, and its steps by id and in their order."""

    def __init__(self, run_id: Any, input: Any, fields: dict[str, Any]) -> None:
        self.input = input
        self.fields = fields
        self.run_ids = [run_id]
        self.requests: list[Any] = []
        self.steps: dict[Any, Step] = {}
        # Pieces of streamed answers, by the run of their model.
        self._pieces: dict[Any, list[str]] = {}
        self._characters_left = _MAX_ANSWER_CHARACTERS

    def add_text(self, run_id: Any, text: str) -> None:
        if len(text) <= self._characters_left:
            self._pieces.setdefault(run_id, []).append(text)
            self._characters_left -= len(text)

    def text_so_far(self) -> str | None:
        """Return the last streamed answer as far as it came, and let the steps without an output have theirs."""
        text = None
        for run_id, pieces in self._pieces.items():
            text = "".join(pieces)
            if run_id in self.steps:
                self.steps[run_id].fields.setdefault("output", text)
        return text

    def figures(self, output: Any) -> dict[str, Any]:
        """Return the model, system prompt and token counts of the calls inside, where the output has none itself."""
        calls = [step.fields for step in self.steps.values() if step.fields["kind"] == "llm"]
        result = LoggedValue(output)
        figures: dict[str, Any] = {}
        if not result.usage():
            for name in ("tokens_in", "tokens_out"):
                counts = [call[name] for call in calls if name in call]
                if counts:
                    figures[name] = sum(counts)
        if result.model() is None:
            figures["model"] = next((call["model"] for call in calls if "model" in call), None)
        if LoggedValue(self.input).system_prompt() is None:
            prompts = (LoggedValue(request).system_prompt() for request in self.requests)
            figures["system_prompt"] = next((prompt for prompt in prompts if prompt), None)
        return {name: value for name, value in figures.items() if value is not None}
