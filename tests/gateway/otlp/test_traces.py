"""Tasks of a trace, and the steps of each."""

from __future__ import annotations

import random
from typing import Any

import pytest
from opentelemetry.proto.trace.v1 import trace_pb2

from phospho_gateway.otlp.steps import MAX_STEP_TEXT_CHARACTERS, MAX_STEPS
from phospho_gateway.otlp.translation import MAX_ATTRIBUTE_CHARACTERS, MAX_ATTRIBUTES, Translation, raw_logs

from .making import TRACE, chat, read, row_of, span


def translated(*spans: trace_pb2.Span) -> Translation:
    return raw_logs(read(*spans))


def steps_of(translation: Translation) -> list[list[str]]:
    """Return the names of the steps of each task."""
    return [[step["name"] for step in log["metadata"].get("steps", [])] for log in translation.logs]


AGENT = [
    span(1, name="agent", attributes={"gen_ai.operation.name": "invoke_agent", "gen_ai.usage.input_tokens": 30}),
    span(2, name="search", parent=1, attributes={"openinference.span.kind": "RETRIEVER"}, began_ms=5, ended_ms=10),
    chat(3, parent=1, began_ms=20, ended_ms=30, attributes={"gen_ai.usage.input_tokens": 10}),
    span(4, name="POST", parent=3, began_ms=21, ended_ms=29),
    span(5, name="weather", parent=1, attributes={"gen_ai.operation.name": "execute_tool"}, began_ms=40, ended_ms=50),
    chat(6, parent=1, began_ms=60, ended_ms=90, attributes={"gen_ai.usage.input_tokens": 20}),
    span(7, name="parse", parent=1, began_ms=91, ended_ms=92),
]  # fmt: skip


def test_each_call_is_a_task_and_what_led_to_it_are_its_steps() -> None:
    translation = translated(*AGENT)

    assert steps_of(translation) == [["search", "POST"], ["agent", "weather", "parse"]]
    assert (translation.steps, translation.unattached) == (5, 0)


def test_the_tokens_of_an_agent_do_not_double_those_of_its_calls() -> None:
    rows = [row_of(log) for log in translated(*AGENT).logs]

    assert [row["tokens_in"] for row in rows] == [10, 20]


def test_a_call_that_two_libraries_report_side_by_side_is_one_task() -> None:
    """Anthropic's client writes spans of its own, without texts."""
    texts = {"gen_ai.prompt": "Say hello", "gen_ai.completion": "Hello!"}
    agent = read(span(1, name="agent", ended_ms=100))
    instrumented = read(
        chat(2, parent=1, began_ms=10, ended_ms=50, attributes=texts),
        chat(4, parent=1, began_ms=60, ended_ms=90, attributes=texts),
        scope="opentelemetry.instrumentation.anthropic",
    )
    native = read(
        chat(3, name="native", parent=1, began_ms=11, ended_ms=49),
        chat(5, name="alone", parent=1, began_ms=61, ended_ms=91),
        scope="com.anthropic.sdk.python",
    )

    translation = raw_logs([*agent, *instrumented, *native])

    assert [log["input"] for log in translation.logs] == ["Say hello", "Say hello", ""]
    assert steps_of(translation) == [["native"], [], ["agent"]]


def test_the_order_of_spans_in_an_export_changes_nothing() -> None:
    shuffled = AGENT.copy()
    random.Random(7).shuffle(shuffled)

    assert translated(*shuffled) == translated(*AGENT)


def test_a_step_stays_in_its_own_branch() -> None:
    translation = translated(
        span(1, name="both"),
        span(2, name="left", parent=1, ended_ms=50),
        span(3, name="left tool", parent=2, ended_ms=10),
        chat(4, parent=2, began_ms=10, ended_ms=40),
        span(5, name="right", parent=1, ended_ms=50),
        span(6, name="right tool", parent=5, ended_ms=10),
        chat(7, parent=5, began_ms=10, ended_ms=20),
    )

    assert steps_of(translation) == [["right", "right tool"], ["both", "left", "left tool"]]


def test_a_span_whose_parent_came_in_another_export_belongs_by_its_time() -> None:
    translation = translated(
        span(2, name="before", parent=99, ended_ms=10),
        chat(3, parent=98, began_ms=10, ended_ms=20),
        chat(4, ended_ms=90),
    )

    assert steps_of(translation) == [["before"], []]


def test_spans_of_another_trace_are_no_steps() -> None:
    translation = translated(chat(1), span(2, trace_id="1" * 32))

    assert steps_of(translation) == [[]]
    assert translation.unattached == 1


def test_steps_of_a_trace_without_a_task_are_kept_for_a_later_one() -> None:
    """Those whose kind a convention names. A trace of web requests is not stored."""
    tool = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "weather", "gen_ai.tool.call.result": "31"}

    translation = translated(span(1, attributes=tool, parent=9), span(2, attributes={"http.request.method": "GET"}))

    [loose] = translation.loose_steps
    assert (loose["trace_id"], loose["step"]["name"], loose["step"]["output"]) == (TRACE, "weather", "31")
    assert loose["step"]["parent_span_id"] == (9).to_bytes(8, "big").hex()
    assert translation.unattached == 1


def test_of_a_call_that_two_libraries_tell_of_the_outer_one_is_the_task() -> None:
    inner = {"gen_ai.usage.input_tokens": 7, "gen_ai.completion": "From inside", "gen_ai.prompt": "inner"}
    outer = {"gen_ai.usage.output_tokens": 3, "gen_ai.prompt": "outer"}

    (log,) = translated(chat(1, attributes=outer), chat(2, parent=1, attributes=inner, name="inner call")).logs

    row = row_of(log)
    assert (row["input"], row["output"], row["tokens_in"], row["tokens_out"]) == ("outer", "From inside", 7, 3)
    assert [step["kind"] for step in row["metadata"]["steps"]] == ["llm"]


def test_what_the_outer_call_says_itself_counts() -> None:
    inner = {"gen_ai.usage.input_tokens": 7, "gen_ai.completion": "From inside", "gen_ai.response.model": "inner"}
    outer = {"gen_ai.usage.input_tokens": 5, "gen_ai.completion": "From outside", "gen_ai.response.model": "outer"}

    (log,) = translated(chat(1, attributes=outer), chat(2, parent=1, attributes=inner)).logs

    row = row_of(log)
    assert (row["output"], row["tokens_in"], row["model"]) == ("From outside", 5, "outer")


def test_session_and_user_of_a_span_above_are_those_of_the_task() -> None:
    (log,) = translated(
        span(1, attributes={"session.id": "far", "user.id": "ann"}),
        span(2, parent=1, attributes={"session.id": "near"}),
        chat(3, parent=2),
    ).logs

    assert (log["session_id"], log["user_id"]) == ("near", "ann")


def test_without_a_conversation_the_trace_is_the_session() -> None:
    assert {log["session_id"] for log in translated(*AGENT).logs} == {TRACE}


@pytest.mark.parametrize(
    "ring",
    [
        [chat(1, parent=1)],
        [chat(1, parent=2), chat(2, parent=1)],
        [chat(1, parent=2), span(2, parent=3), span(3, parent=2)],
    ],
)
def test_a_ring_of_parents_ends(ring: list[trace_pb2.Span]) -> None:
    translation = translated(*ring)

    assert len(translation.logs) + translation.steps + translation.unattached == len(ring)
    assert translation.logs


def test_a_tree_that_is_deeper_than_anyone_looks_keeps_every_call() -> None:
    chain = [span(number, parent=number - 1) for number in range(1, 3_000)] + [chat(3_000, parent=2_999)]

    translation = translated(*chain)

    assert len(translation.logs) == 1
    assert translation.steps == 2_999


def test_a_task_keeps_so_many_steps_and_counts_the_others() -> None:
    plain = [span(number, name="SELECT") for number in range(2, 200)]
    tools = [span(number, attributes={"openinference.span.kind": "TOOL"}) for number in range(200, 210)]

    (log,) = translated(chat(1), *plain, *tools).logs

    assert len(log["metadata"]["steps"]) == MAX_STEPS
    assert log["metadata"]["steps_dropped"] == 208 - MAX_STEPS
    assert sum(step.get("kind") == "tool" for step in log["metadata"]["steps"]) == 10


def test_a_step_tells_what_it_did_in_short() -> None:
    told = {
        "openinference.span.kind": "TOOL",
        "tool.name": "weather",
        "input.value": "Lisbon",
        "output.value": "x" * 10_000,
    }
    (log,) = translated(chat(1), span(2, attributes=told, error="broken")).logs

    (step,) = log["metadata"]["steps"]
    assert step.pop("output") == "x" * MAX_STEP_TEXT_CHARACTERS + "…"
    assert step == {
        "span_id": "0000000000000002",
        "name": "weather",
        "kind": "tool",
        "started_at": "2026-02-02T02:40:00.000Z",
        "latency_ms": 100.0,
        "input": "Lisbon",
        "error": {"message": "broken"},
    }


def test_attributes_that_nobody_knows_are_kept_within_bounds() -> None:
    many: dict[str, Any] = {f"own.{number}": "y" * 100_000 for number in range(100)}

    (log,) = translated(chat(1, attributes=many)).logs

    kept = log["metadata"]["attributes"]
    assert len(kept) == MAX_ATTRIBUTES
    assert log["metadata"]["attributes_dropped"] == 100 - MAX_ATTRIBUTES
    assert max(map(len, kept.values())) == MAX_ATTRIBUTE_CHARACTERS + 1


def test_what_an_export_tells_once_does_not_multiply_with_its_tasks() -> None:
    resource = {"service.name": "shop"} | {f"own.{number}": "z" * 900 for number in range(1_000)}

    spans = read(*[chat(number) for number in range(1, 11)], resource=resource, scope="l" * 10_000)

    for log in raw_logs(spans).logs:
        assert len(str(log)) < 3_000
        assert log["metadata"]["resource"]["service.name"] == "shop"


def test_the_id_of_a_task_follows_from_its_span_and_sorts_by_time() -> None:
    def task_id(**fields: Any) -> str:
        (log,) = translated(chat(**fields)).logs
        return str(log["task_id"])

    assert task_id() == task_id(attributes={"gen_ai.request.model": "other"}, ended_ms=7)
    assert len({task_id(), task_id(number=2), task_id(trace_id="2" * 32)}) == 3
    assert task_id(began_ms=1, number=3) < task_id(began_ms=2, number=1)


@pytest.mark.parametrize(("began_ms", "ended_ms"), [(10, 5), (0, -1_770_000_000_000)])
def test_times_that_contradict_each_other_are_no_latency(began_ms: int, ended_ms: int) -> None:
    (log,) = translated(chat(began_ms=began_ms, ended_ms=ended_ms)).logs

    assert row_of(log)["latency_ms"] is None
