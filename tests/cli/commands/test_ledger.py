"""`phospho ledger` against a server that answers what the API would."""

from __future__ import annotations

from datetime import UTC, datetime

import click
import pytest

from phospho_cli.times import parsed_since

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("15m", "2026-01-31T11:45:00.000Z"),
        ("36h", "2026-01-30T00:00:00.000Z"),
        ("7d", "2026-01-24T12:00:00.000Z"),
        ("2026-01-30", "2026-01-30T00:00:00.000Z"),
        ("2026-01-30T01:00+01:00", "2026-01-30T00:00:00.000Z"),
    ],
)
def test_since_is_an_age_or_a_time(text: str, moment: str) -> None:
    assert parsed_since(text, NOW) == moment


@pytest.mark.parametrize("text", ["yesterday", "7", "-1d", "999999d", ""])
def test_since_refuses_anything_else(text: str) -> None:
    with pytest.raises(click.UsageError):
        parsed_since(text, NOW)
