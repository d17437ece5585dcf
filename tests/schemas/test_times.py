"""Times on the wire have one form; what comes in may have any that ISO 8601 has."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from phospho_schemas.times import parsed_time, time_text, utc_text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-03-03T10:30:00Z", "2026-03-03T10:30:00.000Z"),
        ("2026-03-03T10:30:00.1239+02:00", "2026-03-03T08:30:00.123Z"),
        ("2026-03-03", "2026-03-03T00:00:00.000Z"),
        ("20260303T103000", "2026-03-03T10:30:00.000Z"),
    ],
)
def test_a_time_is_read_in_utc_where_it_names_no_zone(text: str, expected: str) -> None:
    moment = parsed_time(text)

    assert moment is not None
    assert moment.tzinfo is UTC
    assert utc_text(moment) == expected


@pytest.mark.parametrize("text", ["", "yesterday", "2026-13-01", "0001-01-01T00:00+23:59", "9999-12-31T23:59-23:59"])
def test_what_is_no_time_or_beyond_the_calendar_is_none(text: str) -> None:
    assert parsed_time(text) is None


@pytest.mark.parametrize("time_ms", [0, 1, 999, 1_767_225_600_001, 4_102_444_799_999, -1])
def test_milliseconds_have_the_form_of_their_moment(time_ms: int) -> None:
    moment = datetime.fromtimestamp(time_ms // 1000, UTC).replace(microsecond=time_ms % 1000 * 1000)

    assert time_text(time_ms) == utc_text(moment)
