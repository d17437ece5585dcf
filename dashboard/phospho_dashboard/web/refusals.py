"""Refusals that several features answer with."""

from __future__ import annotations

from pydantic import ValidationError

from phospho_web.problems import Problem


def validation_message(error: ValidationError) -> str:
    """Return the first thing that is wrong, and its field, without the value that was sent."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"


def unknown_event(name: str) -> Problem:
    """Return the refusal of an event that nobody has defined."""
    return Problem(422, "unknown_event", f"there is no event {name!r} in this project", "define it first")


def no_publisher() -> Problem:
    """Return the refusal of a process that has no way to publish."""
    return Problem(503, "no_publisher", "this process can't publish", "ask the gateway, or phospho up")
