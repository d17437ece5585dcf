"""The output of `phospho import --dry-run`: the tasks that an import would log."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import Any

import click
import orjson

from phospho_cli.client.output import print_table
from phospho_cli.importing.log_file import LogLine

_SHOWN_TASKS = 3
_SHOWN_CHARACTERS = 60
# Beyond this, distinct values are no longer counted: memory stays bounded for a file of any size.
_MAX_COUNTED = 1_000_000
_MAX_KEYS = 1000


class Preview:
    """A summary of the events of a file."""

    def __init__(self) -> None:
        self._tasks: set[str] = set()
        self._sessions: set[str] = set()
        self._users: set[str] = set()
        self._keys: Counter[str] = Counter()
        self._first: list[dict[str, Any]] = []
        self._times: list[float] = []

    def add(self, log: LogLine) -> None:
        """Add one event."""
        event = orjson.loads(log.event)
        for values, value in (
            (self._tasks, log.task_id),
            (self._sessions, event.get("session_id")),
            (self._users, event.get("user_id")),
        ):
            if value and len(values) < _MAX_COUNTED:
                values.add(str(value))
        self._keys.update(name for name in event if name in self._keys or len(self._keys) < _MAX_KEYS)
        created_at_s = event.get("client_created_at")
        if isinstance(created_at_s, (int, float)):
            self._times = [min([*self._times, created_at_s]), max([*self._times, created_at_s])]
        if len(self._first) < _SHOWN_TASKS:
            self._first.append({name: _shown(event.get(name)) for name in ("task_id", "session_id", "input", "output")})

    def show(self, format_label: str, skipped: int) -> None:
        """Print the summary."""
        click.echo(f"Format: {format_label}")
        click.echo(f"{len(self._tasks):,} tasks, {len(self._sessions):,} sessions, {len(self._users):,} users")
        if self._times:
            click.echo(f"from {_moment(self._times[0])} to {_moment(self._times[1])}")
        if skipped:
            click.echo(f"{skipped:,} records are no tasks (spans, tools, runs inside of others) and are left out")
        click.echo("Keys: " + ", ".join(f"{name} ({count:,})" for name, count in self._keys.most_common(20)))
        if self._first:
            print_table(("task_id", "session_id", "input", "output"), self._first)


def _shown(value: Any) -> str:
    text = value if isinstance(value, str) else orjson.dumps(value).decode() if value is not None else ""
    line = " ".join(text[: 4 * _SHOWN_CHARACTERS].split())
    return line if len(line) <= _SHOWN_CHARACTERS else line[: _SHOWN_CHARACTERS - 1] + "…"


def _moment(unix_s: float) -> str:
    try:
        return datetime.fromtimestamp(unix_s, UTC).strftime("%Y-%m-%d %H:%M UTC")
    except (ValueError, OverflowError, OSError):
        return f"{unix_s} (no time)"
