"""
Helpers for tests: a recorded block, and runs of an agent over logged tasks or a dataset.

```python
def test_my_app_logs_its_answers() -> None:
    with phospho.testing.recording() as sent:
        my_app.answer("Hello")
    assert sent.logs[0]["input"] == "Hello"
```
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from inspect import Parameter, signature
from pathlib import Path
from typing import Any, Callable, NamedTuple

from ._default.state import STATE
from ._delivery.recording import RecordingTransport
from ._delivery.transport import Outcome, Transport
from ._ids import new_version_id
from ._logger import logger
from .client import Client

__all__ = [
    "Evaluation",
    "Message",
    "Outcome",
    "PhosphoTest",
    "RecordingTransport",
    "Transport",
    "recording",
]


@contextmanager
def recording(**arguments: Any) -> Iterator[RecordingTransport]:
    """
    Send the logs of the module functions to a `RecordingTransport` inside the block, and flush at its end.

    *arguments* are those of `phospho.Client`. Afterwards the previous client is the default again.
    """
    transport = RecordingTransport()
    client = Client(transport=transport, **{"tick": 0.01, **arguments})
    previous = STATE.exchange(client)
    try:
        yield transport
        client.flush()
    finally:
        STATE.exchange(previous)
        client.close()


class Message(NamedTuple):
    """Argument of a tested function: the user's text and its metadata."""

    content: str
    metadata: Mapping[str, Any]
    role: str = "user"


class Evaluation(NamedTuple):
    """One run of a tested function: its output, or the error that it raised."""

    function: str
    input: str
    output: Any
    error: Exception | None


class PhosphoTest:
    """
    Runs an agent over the project's tasks or a dataset, and logs its answers under one version.

    ```python
    phospho_test = phospho.testing.PhosphoTest()

    @phospho_test.test(source_loader="backtest", source_loader_params={"sample_size": 10})
    def answer(message): ...

    phospho_test.run()
    ```
    """

    __test__ = False  # not a test case of pytest

    def __init__(
        self,
        version_id: str | None = None,
        api_key: str | None = None,
        project_id: str | None = None,
        base_url: str | None = None,
        **arguments: Any,
    ) -> None:
        self.version_id = version_id or new_version_id()
        self.client = Client(api_key, project_id, base_url, version_id=self.version_id, **arguments)
        self.functions_to_evaluate: dict[str, _Tested] = {}

    def test(
        self,
        fn: Callable[..., Any] | None = None,
        source_loader: str | None = None,
        source_loader_params: Mapping[str, Any] | None = None,
    ) -> Any:
        """
        Register a function that `run` calls. A decorator, with or without arguments.

        Args:
            source_loader: None calls the function once, without arguments. "backtest" calls it for each of the
                newest tasks (`sample_size`, default 10), "dataset" for each row of a file (`path`, .csv, .json or
                .jsonl).
        """

        def register(function: Callable[..., Any]) -> Callable[..., Any]:
            tested = _Tested(function, source_loader, dict(source_loader_params or {}))
            self.functions_to_evaluate[function.__name__] = tested
            return function

        return register if fn is None else register(fn)

    def run(self, executor_type: str = "parallel", max_parallelism: int = 20) -> list[Evaluation]:
        """Call every registered function on its inputs. An error ends only the call that raised it."""
        calls = [
            (tested, message) for tested in self.functions_to_evaluate.values() for message in self._messages(tested)
        ]
        workers = max_parallelism if executor_type == "parallel" else 1
        with ThreadPoolExecutor(max_workers=workers) as executor:
            results = list(executor.map(self._evaluate, calls))
        self.flush()
        return results

    def log(self, input: Any, output: Any, **kwargs: Any) -> dict[str, Any]:
        """Log under the version of this test."""
        return self.client.log(input, output, **kwargs)

    def flush(self) -> None:
        """Send the logs of this test."""
        self.client.flush()

    def _evaluate(self, call: tuple[_Tested, Message | None]) -> Evaluation:
        tested, message = call
        text = "" if message is None else message.content
        arguments = {} if message is None else _accepted_arguments(tested.function, message)
        try:
            output = tested.function(**arguments)
        except Exception as error:  # the tested function's own
            logger.warning("phospho: %s failed on %.50r: %r", tested.function.__name__, text, error)
            return Evaluation(tested.function.__name__, text, None, error)
        if message is not None:
            self.log(input=text, output=output)
        return Evaluation(tested.function.__name__, text, output, None)

    def _messages(self, tested: _Tested) -> list[Message | None]:
        if tested.source_loader is None:
            return [None]
        if tested.source_loader == "backtest":
            tasks = self.client.tasks.list(limit=tested.parameters.get("sample_size", 10))
            return [Message(task.content["input"], {"task_id": task.id}) for task in tasks]
        if tested.source_loader == "dataset":
            return [_row_message(row) for row in _rows(Path(tested.parameters["path"]))]
        raise ValueError(f'source_loader must be "backtest", "dataset" or None, not {tested.source_loader!r}')


class _Tested(NamedTuple):
    function: Callable[..., Any]
    source_loader: str | None
    parameters: dict[str, Any]


def _row_message(row: Mapping[str, Any]) -> Message:
    text = row.get("content", row.get("input", ""))
    return Message(str(text), dict(row), str(row.get("role", "user")))


def _rows(path: Path) -> list[dict[str, Any]]:
    with path.open(encoding="utf-8", newline="") as file:
        if path.suffix == ".csv":
            return list(csv.DictReader(file))
        if path.suffix == ".jsonl":
            return [json.loads(line) for line in file if line.strip()]
        if path.suffix == ".json":
            return list(json.load(file))
    raise ValueError(f"a dataset must be a .csv, .json or .jsonl file, not {path.name}")


def _accepted_arguments(function: Callable[..., Any], message: Message) -> dict[str, Any]:
    """Return the values of the message that *function* has parameters for."""
    values = {**message.metadata, "message": message, "input": message.content}
    parameters = signature(function).parameters.values()
    if any(parameter.kind is Parameter.VAR_KEYWORD for parameter in parameters):
        return values
    return {parameter.name: values[parameter.name] for parameter in parameters if parameter.name in values}
