"""Jobs, and workloads that run them over messages."""

from __future__ import annotations

import asyncio
import sys
import threading
from typing import Any

import pytest

import phospho
from phospho import lab
from phospho.lab import job_library


def count(message: lab.Message, letter: str = "a") -> lab.JobResult:
    return lab.JobResult(message.content.count(letter), lab.ResultType.literal)


async def count_later(message: lab.Message, letter: str = "a") -> lab.JobResult:
    await asyncio.sleep(0)
    return count(message, letter)


@pytest.mark.parametrize("executor_type", ["parallel", "sequential"])
def test_results_keep_order_of_messages_and_jobs(executor_type: str) -> None:
    workload = lab.Workload([lab.Job("sync", count, params={"letter": "b"})])
    workload.add_job(lab.Job("async", count_later, config=lab.EventConfig(letter="b")))
    workload.add_job(lab.Job("wrapped", lambda message: count_later(message, "b")))
    messages = [lab.Message("b" * number, id=str(number)) for number in range(50)]

    returned = workload.run(iter(messages), executor_type=executor_type, max_parallelism=4)

    assert returned == workload.results
    assert list(returned) == [message.id for message in messages]
    assert [list(results) for results in returned.values()] == [["sync", "async", "wrapped"]] * 50
    assert [result.value for results in returned.values() for result in results.values()] == [
        number for number in range(50) for _ in range(3)
    ]
    assert all(result.job_id == job_id for results in returned.values() for job_id, result in results.items())


def test_workload_runs_inside_running_loop() -> None:
    async def notebook() -> list[Any]:
        workload, message = lab.Workload([lab.Job(job_function=count)]), lab.Message("banana")
        return [workload.run([message]), await workload.async_run([message])]

    blocking, awaited = asyncio.run(notebook())

    assert blocking == awaited
    assert [result.value for results in awaited.values() for result in results.values()] == [3]


def meet(parties: int, timeout_s: float) -> lab.Job:
    """Return a job whose value is true if *parties* calls of it ran at once within the timeout."""
    barrier = threading.Barrier(parties)

    def wait_for_the_others(message: lab.Message) -> lab.JobResult:
        try:
            barrier.wait(timeout_s)
        except threading.BrokenBarrierError:
            return lab.JobResult(False, lab.ResultType.bool)
        return lab.JobResult(True, lab.ResultType.bool)

    return lab.Job("meet", wait_for_the_others)


def test_workload_runs_max_parallelism_calls_at_once() -> None:
    results = lab.Workload([meet(3, 10)]).run([lab.Message("") for _ in range(9)], max_parallelism=3)

    assert [result["meet"].value for result in results.values()] == [True] * 9


@pytest.mark.parametrize(("executor_type", "together"), [("parallel", 3), ("sequential", 1)])
def test_workload_runs_no_more_calls_at_once(executor_type: str, together: int) -> None:
    messages = [lab.Message("") for _ in range(9)]

    results = lab.Workload([meet(together + 1, 0.3)]).run(messages, executor_type, max_parallelism=3)

    assert [result["meet"].value for result in results.values()] == [False] * 9


def test_job_failure_on_one_message_harms_no_other(caplog: pytest.LogCaptureFixture) -> None:
    def picky(message: lab.Message) -> Any:
        if message.content == "bad":
            raise RuntimeError("I don't like it")
        return None if message.content == "nothing" else lab.JobResult(1, lab.ResultType.literal)

    messages = [lab.Message(text, id=text) for text in ("good", "bad", "nothing")]

    results = lab.Workload([lab.Job("j", picky)]).run(messages)

    assert [results[message.id]["j"].value for message in messages] == [1, None, None]
    assert results["bad"]["j"].result_type is results["nothing"]["j"].result_type is lab.ResultType.error
    assert results["bad"]["j"].logs == ('RuntimeError("I don\'t like it")',)
    assert "NoneType, not a JobResult" in results["nothing"]["j"].logs[0]
    assert "job j failed on message bad" in caplog.text


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"name": "keyword_detection"},
        {"name": "Sought"},
        {"name": "keyword_event_detection", "params": {"event_name": "e"}},
        {"job_function": count, "params": {"lettre": "a"}},
    ],
)
def test_job_that_cannot_run_raises_config_error(arguments: dict[str, Any]) -> None:
    with pytest.raises(phospho.ConfigError):
        lab.Job(**arguments)


def test_unknown_engine_scope_and_executor_are_refused() -> None:
    with pytest.raises(phospho.ConfigError, match="engine"):
        lab.Job.from_definition(lab.EventDefinition("e", engine="magic"))
    with pytest.raises(phospho.ConfigError, match="scope"):
        job_library.keyword_event_detection(lab.Message("a"), "e", ["a"], event_scope="session")
    with pytest.raises(phospho.ConfigError, match="executor_type"):
        lab.Workload().run([], executor_type="quantum")


def test_results_df_has_row_a_message_and_column_a_job() -> None:
    pandas = pytest.importorskip("pandas")
    workload = lab.Workload([lab.Job("a", count), lab.Job("n", count, params={"letter": "n"})])
    workload.run([lab.Message("banana", id="m1"), lab.Message("no", id="m2")])

    expected = pandas.DataFrame({"a": [3, 0], "n": [2, 1]}, index=["m1", "m2"])

    pandas.testing.assert_frame_equal(workload.results_df(), expected)


def test_results_df_without_pandas_names_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)

    with pytest.raises(ImportError, match="pip install pandas"):
        lab.Workload().results_df()
