"""Logs of a process: JSON by a setting, a level, and equal errors once."""

from __future__ import annotations

import json
import logging
import subprocess
import sys

import pytest

from fixtures.phospho_process import clean_environment
from phospho_cli.processes.logs import JsonFormatter, LogSettings, RepeatFilter, TextFormatter
from phospho_schemas.settings import BadSetting, load


def record(message: str, level: int = logging.ERROR) -> logging.LogRecord:
    return logging.LogRecord("rdkafka", level, __file__, 1, message, (), None)


def refused(after: str) -> logging.LogRecord:
    return record(f"FAIL [rdkafka#producer-1] [thrd:a:9/bootstrap]: a:9: Connection refused (after {after})")


def test_equal_errors_are_logged_once_in_30_s_and_counted() -> None:
    now_s = 100.0
    repeats = RepeatFilter(lambda: now_s)

    passed = [repeats.filter(refused(f"{number}ms in state CONNECT")) for number in range(132)]
    other = repeats.filter(record("another error"))
    now_s = 131.0
    later = refused("0ms in state CONNECT, 30 identical error(s) suppressed")

    assert passed == [True] + [False] * 131
    assert other
    assert repeats.filter(later)
    assert later.getMessage().endswith("(131 equal lines left out)")


def test_lines_below_warning_are_never_left_out() -> None:
    repeats = RepeatFilter(lambda: 0.0)
    assert [repeats.filter(record("a batch", logging.INFO)) for _ in range(3)] == [True] * 3


def test_json_line_has_time_level_logger_and_message() -> None:
    line = json.loads(JsonFormatter().format(record('half a "line"\nand more')))
    assert (line["level"], line["logger"], line["message"]) == ("error", "rdkafka", 'half a "line"\nand more')
    assert line["time"].endswith("+00:00")


def test_text_line_stays_one_line_whatever_a_client_sent() -> None:
    record = logging.LogRecord(
        "phospho", logging.WARNING, "", 1, "refused %s", ("a\nERROR root forged\x1b[2J\u2028",), None
    )
    line = TextFormatter("%(levelname)s %(message)s").format(record)
    assert line == "WARNING refused a\\nERROR root forged\\x1b[2J\\u2028"


def test_level_that_does_not_exist_is_one_sentence() -> None:
    with pytest.raises(BadSetting, match="PHOSPHO_LOG_LEVEL='loud' can't be used: it must be"):
        load(LogSettings, {"PHOSPHO_LOG_LEVEL": "loud"})


def test_process_logs_json_from_its_level() -> None:
    code = (
        "import logging; from phospho_cli.processes.serving import prepare_process; prepare_process(logging.WARNING);"
        "logging.getLogger('phospho_store').debug('seen'); logging.getLogger('urllib3').info('not seen')"
    )
    environment = clean_environment() | {"PHOSPHO_LOG_FORMAT": "json", "PHOSPHO_LOG_LEVEL": "debug"}
    lines = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    ).stderr.splitlines()
    assert [json.loads(line)["message"] for line in lines] == ["seen"]
