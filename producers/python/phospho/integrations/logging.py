"""A `logging` handler: a record with `phospho` fields is a task."""

from __future__ import annotations

import logging

from .._default.state import STATE

__all__ = ["PhosphoHandler"]


class PhosphoHandler(logging.Handler):
    """
    Log the records that carry a task, as in `logger.info("answered", extra={"phospho": {"input": …, "output": …}})`.

    The fields are arguments of `phospho.log`; `output` is the record's message if they have none. Logger and level
    become metadata. Records without these fields are left to other handlers. Never raises, and blocks for nothing.
    """

    def emit(self, record: logging.LogRecord) -> None:
        fields = getattr(record, "phospho", None)
        client = STATE.client
        if client is None or not isinstance(fields, dict) or "input" not in fields:
            return
        try:
            arguments = {"logger": record.name, "level": record.levelname, **fields}
            task_input, output = arguments.pop("input"), arguments.pop("output", None)
            answer = record.getMessage() if output is None else output
            client.task_log.submit_quietly(client.task_log.call_of(task_input, answer, arguments))
        except Exception as error:  # the edge between the app's record and the SDK
            client.task_log.count_error("logging", error)
