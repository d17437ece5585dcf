"""The end of an import: what came in, from when to when, what was rejected and why, and where to see it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any
from urllib.parse import urlencode

import click
import orjson

from phospho_cli.client.address import Address
from phospho_cli.client.output import number_of, print_table
from phospho_schemas.imports import IMPORT_KEY
from phospho_store.log_files.counts import LineCounts
from phospho_store.log_files.log_file import LogLine

_SHOWN_REASONS = 10
_SHOWN_TASKS = 3
_SHOWN_CHARACTERS = 60
# Beyond this, distinct values are no longer counted: memory stays bounded for a file of any size.
_MAX_COUNTED = 1_000_000
_MAX_KEYS = 1000
_SHOWN_TIME = "%Y-%m-%d %H:%M"


def print_summary(counts: LineCounts, duration_s: float, *, is_dry_run: bool) -> None:
    """Print the rejected lines to stderr, the rest to stdout."""
    _print_reasons(counts)
    verb = "would be logged" if is_dry_run else "logged"
    skipped = f", {number_of(counts.skipped, 'record')} skipped" if counts.skipped else ""
    speed = counts.accepted / max(duration_s, 1e-3)
    click.echo(
        f"{number_of(counts.accepted, 'task')} {verb}, {number_of(counts.rejected, 'line')} rejected{skipped},"
        f" in {duration_s:.1f} s ({speed:,.0f}/s)"
    )
    if not counts.first_at:
        return
    first, last = datetime.fromisoformat(counts.first_at), datetime.fromisoformat(counts.last_at)
    click.echo(f"Time range: {first:{_SHOWN_TIME}} to {last:{_SHOWN_TIME}} UTC")
    if counts.undated:
        click.echo(
            f"Records without created_at: {counts.undated:,}. They get the time at which the file was written.",
            err=True,
        )


def import_url(address: Address, import_id: str) -> str:
    """Return the URL of the list of the tasks of an import."""
    return project_url(address, "/tasks", {"period": "all", "where": f"metadata.{IMPORT_KEY}={import_id}"})


def project_url(address: Address, path: str, query: Mapping[str, str] = MappingProxyType({})) -> str:
    """Return the URL of a page of the project."""
    project = {"project": address.project_id} if address.project_id else {}
    parameters = urlencode({**project, **query}, safe=":")
    return f"{address.base_url}{path}?{parameters}" if parameters else f"{address.base_url}{path}"


def _print_reasons(counts: LineCounts) -> None:
    shown = sorted(counts.reasons.items(), key=lambda item: item[1])[:_SHOWN_REASONS]
    for reason, (line, count) in shown:
        more = f" and {count - 1:,} more" if count > 1 else ""
        click.echo(f"line {line}{more}: {reason}", err=True)
    rest = counts.rejected - sum(count for _, (_, count) in shown)
    if rest:
        click.echo(f"… and {number_of(rest, 'more rejected line')}", err=True)


class Preview:
    """A summary of the events of a file."""

    def __init__(self) -> None:
        self._tasks: set[str] = set()
        self._sessions: set[str] = set()
        self._users: set[str] = set()
        self._keys: Counter[str] = Counter()
        self._first: list[dict[str, Any]] = []

    def add(self, log: LogLine) -> None:
        """Add one event."""
        event = orjson.loads(log.event)
        event.pop(IMPORT_KEY, None)
        for values, value in (
            (self._tasks, log.task_id),
            (self._sessions, event.get("session_id")),
            (self._users, event.get("user_id")),
        ):
            if value and len(values) < _MAX_COUNTED:
                values.add(str(value))
        names = [name for name in event if name not in log.derived]
        self._keys.update(name for name in names if name in self._keys or len(self._keys) < _MAX_KEYS)
        if len(self._first) < _SHOWN_TASKS:
            self._first.append(
                {name: _short_text(event.get(name)) for name in ("task_id", "session_id", "input", "output")}
            )

    def show(self, format_label: str, skipped: int) -> None:
        """Print the summary, or nothing without a task."""
        if not self._tasks:
            return
        click.echo(f"Format: {format_label}")
        totals = ((self._tasks, "task"), (self._sessions, "session"), (self._users, "user"))
        click.echo(", ".join(number_of(len(values), noun) for values, noun in totals))
        if skipped:
            click.echo(f"Skipped: {number_of(skipped, 'record')} of no task (spans, tools, nested runs)")
        click.echo("Keys: " + ", ".join(f"{name} ({count:,})" for name, count in self._keys.most_common(20)))
        print_table(("task_id", "session_id", "input", "output"), self._first)


def _short_text(value: Any) -> str:
    text = value if isinstance(value, str) else orjson.dumps(value).decode() if value is not None else ""
    line = " ".join(text[: 4 * _SHOWN_CHARACTERS].split())
    return line if len(line) <= _SHOWN_CHARACTERS else line[: _SHOWN_CHARACTERS - 1] + "…"
