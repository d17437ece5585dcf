"""Output of commands: tables on stdout, and the progress of a long command on stderr."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import click

Show = Callable[[int, str], None]

_PLAIN_INTERVAL_S = 5.0
_BAR_INTERVAL_S = 0.1


def print_table(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Print these columns of the rows, in order; a missing value is left empty."""
    cells = [[_cell(row.get(column)) for column in columns] for row in rows]
    if sys.stdout.isatty():
        _draw(columns, cells)
        return
    for line in (columns, *cells):
        click.echo("\t".join(_one_line(cell) for cell in line))


def number_of(count: int, noun: str) -> str:
    """Return a count with its noun, which takes an s where the count is not one."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def print_json(document: Any) -> None:
    """Print a JSON document, indented."""
    click.echo(json.dumps(document, indent=2, ensure_ascii=False))


def _draw(columns: Sequence[str], cells: Iterable[Sequence[str]]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD)
    for number, column in enumerate(columns):
        # The first column is the id that other commands take.
        table.add_column(column, no_wrap=number == 0, overflow="fold")
    for line in cells:
        table.add_row(*map(Text, line))
    Console().print(table)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _one_line(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n")


@contextmanager
def progress(title: str, total_bytes: int) -> Iterator[Show]:
    """Yield `show(done_bytes, note)`, which may be called at any rate."""
    with _bar(title, total_bytes) if sys.stderr.isatty() else _plain(title, total_bytes) as show:
        yield show


@contextmanager
def _bar(title: str, total_bytes: int) -> Iterator[Show]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn(title),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TextColumn("{task.fields[note]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(title, total=total_bytes, note="")
        yield _throttled(_BAR_INTERVAL_S, lambda done_bytes, note: bar.update(task, completed=done_bytes, note=note))
        bar.update(task, completed=total_bytes)


@contextmanager
def _plain(title: str, total_bytes: int) -> Iterator[Show]:
    def show(done_bytes: int, note: str) -> None:
        click.echo(f"{title}: {100 * done_bytes // max(total_bytes, 1)} %, {note}", err=True)

    yield _throttled(_PLAIN_INTERVAL_S, show)


def _throttled(interval_s: float, show: Show) -> Show:
    """Return `show` at most once every `interval_s`."""
    last_s = time.monotonic()

    def maybe(done_bytes: int, note: str) -> None:
        nonlocal last_s
        now_s = time.monotonic()
        if now_s - last_s >= interval_s:
            last_s = now_s
            show(done_bytes, note)

    return maybe
