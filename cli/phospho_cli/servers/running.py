"""Running a process from the command line, with its errors in plain words."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import click

from phospho_cli.processes.serving import PortUnavailable, Process, serve


def run(process: Process) -> None:
    """Serve a process until it is asked to stop. Blocks."""
    asyncio.run(serve(process))


@contextmanager
def port_errors(option: str = "--port") -> Iterator[None]:
    """Turn an unavailable port into an error that names the option for another."""
    try:
        yield
    except PortUnavailable as error:
        another = f"{option} {error.port + 1}" if error.port < 65535 else option
        raise click.ClickException(f"{error}. Start with `{another}`, or stop the other process.") from error
