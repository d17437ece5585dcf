"""
Failures of client commands, with their exit codes.

    click.ClickException
    ├── Failure          1: what happened, what to do
    │   └── Unreachable  3: no server answers
    └── click.UsageError 2: the command was not understood; nothing was sent
"""

from __future__ import annotations

from typing import IO, Any

import click


def joined(message: str, hint: str) -> str:
    """Return what happened and what to do as one line."""
    if not hint:
        return message
    return f"{message} {hint}" if message.endswith((".", "!", "?")) else f"{message}; {hint}"


class Failure(click.ClickException):
    """A refusal by the server or a fault of a file, shown as two lines: what happened, and what to do."""

    exit_code = 1

    def __init__(self, message: str, hint: str = "", *, status: int = 0) -> None:
        """`status` is the HTTP status of the answer, 0 where there was none."""
        super().__init__(message)
        self.hint = hint
        self.status = status

    def show(self, file: IO[Any] | None = None) -> None:
        """Write the two lines to stderr."""
        click.echo(f"Error: {self.message}", file=file, err=True)
        if self.hint:
            # The server's hint is the rest of a sentence elsewhere; here it is one.
            click.echo(f"  {self.hint[:1].upper()}{self.hint[1:]}", file=file, err=True)


class Unreachable(Failure):
    """No server answered any of the attempts."""

    exit_code = 3
