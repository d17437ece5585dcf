"""Logs of a process: their level, text or JSON, and equal errors that are not repeated."""

from __future__ import annotations

import json
import logging
import re
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from phospho_schemas.settings import setting

_TEXT = "%(asctime)s %(levelname)s %(name)s %(message)s"
# With C1 controls, which terminals obey, and the line separators of Unicode.
_CONTROL = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]")
_REPEAT_AFTER_S = 30.0
_MAX_REMEMBERED = 1_000
# What differs between librdkafka's reports of one fault.
_VARYING = re.compile(r"\(after \d+ms in state .*|#(?:producer|consumer)-\d+|\[thrd:[^\]]*\]")


@dataclass(frozen=True)
class LogSettings:
    """Logs of the processes."""

    level: Literal["debug", "info", "warning", "error"] | None = setting(
        None,
        "Least level of our own log lines: debug, info, warning or error; by default info for workers, else warning.",
        variable="PHOSPHO_LOG_LEVEL",
    )
    format: Literal["text", "json"] = setting(
        "text", "text, or json for one object a line.", variable="PHOSPHO_LOG_FORMAT"
    )


def configure_logs(settings: LogSettings, packages: tuple[str, ...], default_level: int) -> None:
    """Log to standard error: ours from the level of the settings, libraries from WARNING."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if settings.format == "json" else TextFormatter(_TEXT))
    handler.addFilter(RepeatFilter())
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    level = logging.getLevelNamesMapping()[settings.level.upper()] if settings.level else default_level
    for package in packages:
        logging.getLogger(package).setLevel(level)


class RepeatFilter(logging.Filter):
    """Lets a warning or error through once in 30 s; the next one says how many equal ones were left out."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._seen: dict[tuple[str, int, str], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Return False for a line that repeats an earlier one."""
        if record.levelno < logging.WARNING:
            return True
        message = record.getMessage()
        key = (record.name, record.levelno, _VARYING.sub("", message))
        now_s = self._clock()
        first_s, repeats = self._seen.get(key, (now_s - _REPEAT_AFTER_S, 0))
        if now_s - first_s < _REPEAT_AFTER_S:
            self._seen[key] = (first_s, repeats + 1)
            return False
        if len(self._seen) >= _MAX_REMEMBERED:
            self._seen.clear()
        self._seen[key] = (now_s, 0)
        if repeats:
            record.msg, record.args = f"{message} ({repeats} equal lines left out)", ()
        return True


class TextFormatter(logging.Formatter):
    """Formats a message as one line, so that nothing a client sent can look like a line of its own."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 (logging's name)
        """Return the line with control characters written as escapes; a traceback follows it as it is."""
        record.message = _CONTROL.sub(lambda match: repr(match[0])[1:-1], record.message)
        return super().formatMessage(record)


class JsonFormatter(logging.Formatter):
    """Formats a record as one JSON object: time, level, logger, message, and a traceback where there is one."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the object in one line."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)
