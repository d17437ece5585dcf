"""Traced functions inside a trace: steps of its task, as a tree."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import phospho


@phospho.trace
def search(query: str) -> list[str]:
    if query == "fail":
        raise LookupError("nothing")
    return [f"about {query}"]


class Agent:
    @phospho.trace
    def plan(self, query: str) -> str:
        return search(query)[0]

    @phospho.trace
    async def answer(self, query: str) -> str:
        await asyncio.sleep(0)
        return self.plan(query)


def tree(log: dict[str, Any]) -> list[tuple[str, str | None]]:
    """Return the name of each step, and that of its parent."""
    names = {step["span_id"]: step["name"].rpartition(".")[2] for step in log["steps"]}
    return [(names[step["span_id"]], names.get(step.get("parent_span_id"))) for step in log["steps"]]


def test_traced_functions_are_steps_of_the_task_of_their_trace(recorded: phospho.RecordingTransport) -> None:
    with phospho.tracer(session_id="conversation"):
        answer = asyncio.run(Agent().answer("refunds"))
        phospho.log(input="refunds", output=answer)
    phospho.flush()

    [log] = recorded.logs
    assert (log["session_id"], log["output"]) == ("conversation", "about refunds")
    assert tree(log) == [("search", "plan"), ("plan", "answer"), ("answer", None)]
    assert [step["input"] for step in log["steps"]] == ["refunds"] * 3
    assert log["steps"][0]["output"] == ["about refunds"]


def test_traced_function_that_logs_is_no_step_of_the_next_task(recorded: phospho.RecordingTransport) -> None:
    @phospho.trace
    def agent(query: str) -> None:
        phospho.log(input=query, output=search(query)[0])

    with phospho.tracer(session_id="conversation"):
        agent("first")
        agent("second")
    phospho.flush()

    assert [(log["session_id"], [step["output"] for step in log["steps"]]) for log in recorded.logs] == [
        ("conversation", [["about first"]]),
        ("conversation", [["about second"]]),
    ]


def test_error_of_a_traced_function_is_the_error_of_its_step(recorded: phospho.RecordingTransport) -> None:
    with phospho.tracer():
        with pytest.raises(LookupError):
            search("fail")
        phospho.log(input="fail")
    phospho.flush()

    [step] = recorded.logs[0]["steps"]
    assert step["error"] == {"type": "LookupError", "message": "nothing"}
