"""`phospho import`: log the tasks of a file."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import orjson

from phospho_cli.client.failures import Failure, Unreachable
from phospho_cli.client.http import Client, connected
from phospho_cli.client.output import print_table, progress
from phospho_cli.importing.formats import FORMATS
from phospho_cli.importing.log_file import OWN_FORMAT, LogFile, LogLine, SkippedLine
from phospho_cli.importing.record_file import BadLine, BrokenFile
from phospho_cli.importing.upload import LineCounts, Upload

# To read the clock for each line would cost more than the line.
_LINES_BETWEEN_UPDATES = 256


def _mapping(_: click.Context, __: click.Parameter, pairs: tuple[str, ...]) -> dict[str, str]:
    split = [pair.partition("=") for pair in pairs]
    if bad := [name for name, _, theirs in split if not name or not theirs]:
        raise click.BadParameter(f"{bad[0]!r} is not of the form input=question.")
    return {name: theirs for name, _, theirs in split}


@click.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--mapping",
    "-m",
    multiple=True,
    callback=_mapping,
    metavar="NAME=THEIRS",
    help="Take the file's key or column THEIRS for NAME. Repeatable.",
)
@click.option(
    "--format",
    "format_name",
    type=click.Choice([OWN_FORMAT, *FORMATS]),
    help="Whose export the file is [default: judged by its first record].",
)
@click.option("--batch-size", type=click.IntRange(1, 10_000), default=500, show_default=True, help="Events a request.")
@click.option("--concurrency", type=click.IntRange(1, 64), default=4, show_default=True, help="Requests at a time.")
@click.option(
    "--max-errors", type=click.IntRange(1), default=1000, show_default=True, help="Rejected lines to stop at."
)
@click.option("--dry-run", is_flag=True, help="Show what would be logged; send nothing.")
@connected
def import_file(
    client: Client,
    file: Path,
    mapping: dict[str, str],
    format_name: str | None,
    batch_size: int,
    concurrency: int,
    max_errors: int,
    dry_run: bool,
) -> None:
    """
    Log the tasks of FILE: JSON lines, a JSON array or, where its name says so, CSV; plain or gzip.

    A line has input, and may have output, session_id, task_id, user_id, version_id, client_created_at (Unix
    seconds), flag (success or failure), system_prompt and metadata. Any other key or column becomes metadata.

    Exports of Langfuse (traces or observations: each generation is a task), of LangSmith (runs: each root run is a
    task) and flattened tasks of upstream phospho are recognised by their keys.

    It is safe to run twice, and to run again after an interruption: a line without a task_id gets one that is
    derived from the line, and a task logged again is the same task. Lines that can't be logged are reported, the
    others are logged, and the exit code is 1.

    \b
    Examples:
      phospho import logs.jsonl.gz
      phospho import chats.csv --mapping input=question --mapping output=answer
      phospho import langfuse-export.json --dry-run
    """
    counts = LineCounts()
    log_file = LogFile(file, mapping, format_name)
    if not dry_run:
        # A wrong address fails at once; a server that goes away later is waited for.
        client.check_reachable()
    started_s = time.monotonic()
    try:
        if dry_run:
            broken = _preview(log_file, counts, max_errors)
        else:
            upload = Upload(client, counts, threads=concurrency, max_batch_events=batch_size)
            broken = _upload(upload, log_file, counts, max_errors)
    finally:
        _report(counts, time.monotonic() - started_s, "would be logged" if dry_run else "logged")
    if broken is not None:
        raise Failure(str(broken), "Every line before that was read. Get the whole file and run this again.")
    if counts.rejected:
        raise click.exceptions.Exit(1)


def _preview(log_file: LogFile, counts: LineCounts, max_errors: int) -> BrokenFile | None:
    preview = Preview()

    def look(log: LogLine) -> None:
        preview.add(log)
        counts.accept(1)

    try:
        return _read(log_file, counts, look, max_errors)
    finally:
        source = FORMATS.get(log_file.format_name or OWN_FORMAT)
        preview.show(source.label if source else "phospho", counts.skipped)


def _upload(upload: Upload, log_file: LogFile, counts: LineCounts, max_errors: int) -> BrokenFile | None:
    try:
        with upload:
            return _read(log_file, counts, upload.add, max_errors)
    except Unreachable as error:
        raise Unreachable(error.message, f"{error.hint} Then run the same command again.") from error
    except KeyboardInterrupt:
        click.echo("Stopped. To go on, run the same command again: what was logged already changes nothing.", err=True)
        raise click.Abort from None


def _read(log_file: LogFile, counts: LineCounts, take: Callable[[LogLine], None], max_errors: int) -> BrokenFile | None:
    """Give every event of the file to `take`. Returns what cut the file short, so that the rest can be sent."""
    lines = 0
    with progress("import", log_file.records.size_bytes) as show:
        try:
            for lines, log in enumerate(log_file, 1):
                if isinstance(log, BadLine):
                    counts.reject(log)
                elif isinstance(log, SkippedLine):
                    counts.skipped += 1
                else:
                    take(log)
                _stop_at(max_errors, counts)
                if lines % _LINES_BETWEEN_UPDATES == 0:
                    show(log_file.records.position_bytes(), f"{lines:,} lines")
        except BrokenFile as broken:
            return broken
    return None


def _stop_at(max_errors: int, counts: LineCounts) -> None:
    if counts.rejected >= max_errors:
        raise Failure(
            f"{counts.rejected:,} lines were rejected; the import stopped there.",
            "Mend the file or give --mapping; to go on regardless, raise --max-errors.",
        )


def _report(counts: LineCounts, duration_s: float, verb: str) -> None:
    for bad in sorted(counts.reasons):
        click.echo(f"line {bad.line}: {bad.reason}", err=True)
    if counts.rejected > len(counts.reasons):
        click.echo(f"… and {counts.rejected - len(counts.reasons):,} more rejected lines", err=True)
    speed = counts.accepted / max(duration_s, 1e-3)
    skipped = f", {counts.skipped:,} records that are no tasks left out" if counts.skipped else ""
    click.echo(
        f"{counts.accepted:,} tasks {verb}, {counts.rejected:,} lines rejected{skipped},"
        f" in {duration_s:.1f} s ({speed:,.0f}/s)"
    )


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
