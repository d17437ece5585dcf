"""Runs of many jobs over many messages."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Coroutine, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from importlib import import_module
from typing import Any, Callable, TypeVar, Union

from .._logger import logger
from ..errors import ConfigError
from . import job_library
from .models import EventDefinition, JobConfig, JobResult, Message, ResultType

__all__ = ["Job", "JobFunction", "Results", "Workload"]

JobFunction = Callable[..., Union[JobResult, Awaitable[JobResult]]]
# By message id, then by job id.
Results = dict[str, dict[str, JobResult]]

T = TypeVar("T")


class Job:
    """
    A function of a message, sync or async, with its parameters.

    Args:
        id: Key of the job's results. Default: the name of the function.
        job_function: Called with a message and the parameters. Returns a JobResult.
        name: The name of a function in `job_library`, instead of *job_function*.
        params: Parameters by name. `config`, a JobConfig, is another way to pass them.

    Raises:
        ConfigError: there is no such function, or it does not take these parameters.
    """

    def __init__(
        self,
        id: str | None = None,
        job_function: JobFunction | None = None,
        name: str | None = None,
        params: Mapping[str, Any] | None = None,
        config: JobConfig | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        self.job_function = job_function or _library_function(name)
        self.id = id or name or _name(self.job_function)
        self.params = {**(vars(config) if config else {}), **(params or {})}
        self.metadata = dict(metadata or {})
        _check_parameters(self.job_function, self.params)

    @classmethod
    def from_definition(cls, definition: EventDefinition, **params: Any) -> Job:
        """Make the job that detects a definition, under its name. *params* are further parameters of its function."""
        name, engine_params = _function_of(definition)
        event_params = {"event_name": definition.name, "event_scope": definition.scope}
        return cls(id=definition.name, name=name, params={**event_params, **engine_params, **params})

    def __repr__(self) -> str:
        return f"Job({self.id!r})"

    def with_params(self, **params: Any) -> Job:
        """Return the job with further parameters."""
        return Job(self.id, self.job_function, params={**self.params, **params}, metadata=self.metadata)

    def run(self, message: Message) -> JobResult:
        """Run the job on one message. Blocks; see `async_run`."""
        return _run_to_end(self.async_run(message))

    async def async_run(self, message: Message) -> JobResult:
        """
        Run the job on one message.

        An exception of the function becomes a result of type error. ImportError and ConfigError are raised: they
        would be the same for every message.
        """
        with ThreadPoolExecutor(max_workers=1) as threads:
            return await self.run_in(threads, message)

    async def run_in(self, threads: ThreadPoolExecutor, message: Message) -> JobResult:
        """Run the job as `async_run` does, a function that is not async in one of *threads*."""
        try:
            result = await self._call(threads, message)
        except (ImportError, ConfigError):
            raise
        except Exception as error:  # the job function's own
            logger.warning("phospho: job %s failed on message %s: %r", self.id, message.id, error)
            return JobResult(None, ResultType.error, logs=(repr(error),), job_id=self.id)
        if isinstance(result, JobResult):
            return replace(result, job_id=self.id)
        reason = f"the job returned {type(result).__name__}, not a JobResult"
        return JobResult(None, ResultType.error, logs=(reason,), job_id=self.id)

    async def _call(self, threads: ThreadPoolExecutor, message: Message) -> object:
        if inspect.iscoroutinefunction(self.job_function):
            return await self.job_function(message, **self.params)
        loop = asyncio.get_running_loop()
        result = await loop.run_in_executor(threads, lambda: self.job_function(message, **self.params))
        # An object or a decorator's wrapper may return an awaitable without being a coroutine function.
        return await result if inspect.isawaitable(result) else result


class Workload:
    """
    A set of jobs that run over messages.

    ```python
    workload = lab.Workload.from_definitions(
        [lab.EventDefinition("refund", engine="keyword", keywords=["refund", "money back"])]
    )
    message = lab.Message("I want my money back!")
    workload.run([message])
    assert workload.results[message.id]["refund"].value
    ```

    Its semantic jobs are each other's rivals, as the definitions of a project are on the server. A job with the
    parameter `rivals` keeps those.

    `results` holds the last run's results, by message id, then by job id. Before the first run it is empty.
    """

    def __init__(self, jobs: Iterable[Job] = ()) -> None:
        self.jobs: dict[str, Job] = {}
        self.results: Results = {}
        for job in jobs:
            self.add_job(job)

    @classmethod
    def from_definitions(cls, definitions: Iterable[EventDefinition]) -> Workload:
        """Make a workload with a job for each definition, under its name."""
        return cls(map(Job.from_definition, definitions))

    def __repr__(self) -> str:
        return f"Workload({list(self.jobs.values())!r})"

    def add_job(self, job: Job) -> None:
        """Add a job. It replaces the job with the same id."""
        self.jobs[job.id] = job

    def run(self, messages: Iterable[Message], executor_type: str = "parallel", max_parallelism: int = 10) -> Results:
        """Run as `async_run` does. Blocks. Works where an event loop runs, as in a notebook."""
        return _run_to_end(self.async_run(messages, executor_type, max_parallelism))

    async def async_run(
        self, messages: Iterable[Message], executor_type: str = "parallel", max_parallelism: int = 10
    ) -> Results:
        """
        Run every job on every message and return `results`, in the order of messages and jobs.

        "parallel" runs *max_parallelism* calls at once, functions that are not async in threads. "sequential" runs one
        call after the other. The last of several messages with the same id counts.
        """
        width = _width(executor_type, max_parallelism)
        by_id = {message.id: message for message in messages}
        results: Results = {message_id: dict.fromkeys(self.jobs, _NOT_RUN) for message_id in by_id}
        jobs = _with_rivals(self.jobs.values())
        calls = ((job, message) for message in by_id.values() for job in jobs)
        with ThreadPoolExecutor(max_workers=width) as threads:
            await _gather_or_cancel([_run_calls(calls, threads, results) for _ in range(width)])
        self.results = results
        return results

    def results_df(self) -> Any:
        """Return the values as a pandas DataFrame: one row a message, one column a job. Raises ImportError."""
        try:
            pandas = import_module("pandas")
        except ImportError as error:
            raise ImportError("results_df needs pandas. Run `pip install pandas`", name="pandas") from error
        rows = [{job_id: result.value for job_id, result in results.items()} for results in self.results.values()]
        return pandas.DataFrame(rows, index=list(self.results), columns=list(self.jobs))


_NOT_RUN = JobResult(None, ResultType.error, logs=("the run ended before this job",))


async def _run_calls(calls: Iterator[tuple[Job, Message]], threads: ThreadPoolExecutor, results: Results) -> None:
    """Run the next call of a shared iterator until there is none."""
    for job, message in calls:
        results[message.id][job.id] = await job.run_in(threads, message)


async def _gather_or_cancel(runs: Iterable[Awaitable[None]]) -> None:
    """Await all *runs*. The first error cancels the others and is raised."""
    tasks = [asyncio.ensure_future(run) for run in runs]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()


def _width(executor_type: str, max_parallelism: int) -> int:
    if executor_type not in ("parallel", "sequential"):
        raise ConfigError(f'executor_type must be "parallel" or "sequential", not {executor_type!r}')
    return max(1, max_parallelism) if executor_type == "parallel" else 1


def _run_to_end(run: Coroutine[Any, Any, T]) -> T:
    """Return a coroutine's result. It runs in a new loop, in another thread if this one has a loop."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(run)
    with ThreadPoolExecutor(max_workers=1) as thread:
        return thread.submit(asyncio.run, run).result()


def _library_function(name: str | None) -> JobFunction:
    if name not in job_library.__all__:
        names = ", ".join(job_library.__all__)
        raise ConfigError(f"there is no job {name!r}: pass a job_function, or a name of {names}")
    function: JobFunction = getattr(job_library, name)
    return function


def _check_parameters(function: JobFunction, params: Mapping[str, Any]) -> None:
    """Raise ConfigError if a function can't take these parameters."""
    try:
        inspect.signature(function).bind(None, **params)
    except TypeError as error:
        raise ConfigError(f"{_name(function)} can't take {sorted(params)}: {error}") from None


def _name(function: JobFunction) -> str:
    return str(getattr(function, "__name__", "job"))


def _with_rivals(jobs: Iterable[Job]) -> list[Job]:
    """Return *jobs* with the semantic ones as each other's rivals. Jobs with the parameter `rivals` keep it."""
    all_jobs = list(jobs)
    semantic = {job.id: _rival(job.params) for job in all_jobs if _is_semantic(job)}
    return [
        job.with_params(rivals=tuple(rival for job_id, rival in semantic.items() if job_id != job.id))
        if _is_semantic(job) and "rivals" not in job.params
        else job
        for job in all_jobs
    ]


def _is_semantic(job: Job) -> bool:
    return job.job_function is job_library.semantic_event_detection


def _rival(params: Mapping[str, Any]) -> tuple[str, str]:
    return params["event_description"], params.get("event_scope", "task")


def _function_of(definition: EventDefinition) -> tuple[str, dict[str, Any]]:
    """Return the name of a definition's function in `job_library`, and the parameters of its engine."""
    description = {"event_description": definition.description}
    by_engine: dict[str, tuple[str, dict[str, Any]]] = {
        "keyword": ("keyword_event_detection", {"keywords": definition.keywords}),
        "regex": ("regex_event_detection", {"regex_pattern": definition.pattern}),
        "semantic": ("semantic_event_detection", {**description, "threshold": definition.threshold}),
        "llm": ("event_detection", description),
    }
    return by_engine[definition.engine]
