"""Times as people write them after an option."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

import click

from phospho_schemas.times import parsed_time, utc_text

_AGO = re.compile(r"(\d{1,5})([mhd])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}


def parsed_since(text: str, now: datetime) -> str:
    """Return the time of `36h`, `7d`, `15m` ago or of ISO 8601, in UTC. Raises UsageError."""
    if match := _AGO.fullmatch(text):
        return utc_text(now - timedelta(**{_UNITS[match[2]]: int(match[1])}))
    moment = parsed_time(text)
    if moment is None:
        raise click.UsageError(f"--since {text!r} is not a time. Write 15m, 36h, 7d, or 2026-01-31T12:00Z.")
    return utc_text(moment)
