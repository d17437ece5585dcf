"""A click group that imports the module of a command when the command is used."""

from __future__ import annotations

import difflib
import gc
import importlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import click


@dataclass(frozen=True)
class LazyCommand:
    """A command by `module:attribute` of this package, with its heading and its line in `--help`."""

    target: str
    section: str
    help: str

    def load(self) -> click.Command:
        """Import the module and return the command in it."""
        module, _, attribute = self.target.partition(":")
        with without_collections():
            command = getattr(importlib.import_module(f"{__package__}.{module}"), attribute)
        if not isinstance(command, click.Command):
            raise TypeError(f"{self.target} is not a click command")
        return command


@contextmanager
def without_collections() -> Iterator[None]:
    """Collect no garbage meanwhile. Modules stay: looking through them again and again took a sixth of an import."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


class LazyGroup(click.Group):
    """
    A group over a table of `LazyCommand`.

    `--help` is written from the table: it imports no command.
    """

    def __init__(self, *args: Any, table: Mapping[str, LazyCommand], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._table = table

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of the table."""
        return list(self._table)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command of that name, imported now, or None."""
        entry = self._table.get(cmd_name)
        return entry.load() if entry else None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that the arguments name; a name that is unknown fails with the nearest one."""
        name = args[0]
        if name not in self._table and not name.startswith("-"):
            nearest = difflib.get_close_matches(name, self._table, n=1)
            ctx.fail(f"There is no command {name!r}." + (f" Did you mean {nearest[0]!r}?" if nearest else ""))
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write one list of commands for each section."""
        width = max(map(len, self._table))
        for section in dict.fromkeys(entry.section for entry in self._table.values()):
            with formatter.section(section):
                formatter.write_dl(
                    [(name.ljust(width), entry.help) for name, entry in self._table.items() if entry.section == section]
                )
