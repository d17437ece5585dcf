"""Steps of a task: calls of models and tools, retrievals and traced functions, as the task's metadata has them."""

from __future__ import annotations

import time
from datetime import datetime, timezone
from typing import Any

from .._content.json_values import text_of, to_jsonable
from .._content.logged_value import LoggedValue

__all__ = ["MAX_STEPS", "Step"]

# An agent in a loop must not grow without bound.
MAX_STEPS = 100


class Step:
    """One step, begun when it is made. *kind* is "llm", "tool", "retriever", "chain", "agent" or another word."""

    __slots__ = ("_began_s", "fields")

    def __init__(self, kind: str, input: Any, name: str = "", step_id: Any = None, parent_id: Any = None) -> None:
        self._began_s = time.perf_counter()
        self.fields: dict[str, Any] = {
            "kind": kind,
            "input": LoggedValue(input).json,
            "started_at": datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        }
        ids = {"name": name, "span_id": step_id, "parent_span_id": parent_id}
        self.fields.update({field: text_of(value) for field, value in ids.items() if value})

    def end(self, output: Any, error: BaseException | None = None) -> None:
        """Set the result, the duration, and the model and token counts that the output carries."""
        self.fields["latency_ms"] = round((time.perf_counter() - self._began_s) * 1000, 3)
        if error is not None:
            self.fields["error"] = {"type": type(error).__name__, "message": text_of(error)}
            return
        result = LoggedValue(output)
        self.fields["output"] = result.json if self.fields["kind"] != "llm" else result.output_text()
        figures = {"model": result.model(), **result.usage()}
        self.fields.update({name: to_jsonable(figures[name]) for name in _FIGURES if figures.get(name) is not None})


_FIGURES = ("model", "tokens_in", "tokens_out")
