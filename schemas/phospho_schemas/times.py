"""Times on the wire: ISO 8601 in UTC with milliseconds out; any ISO 8601 in, in UTC where it names no zone."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

# The clock of a client or a process may be a day ahead; more is not believed.
MAX_AHEAD_MS = 86_400_000
_OLDEST_S = datetime(2000, 1, 1, tzinfo=UTC).timestamp()
# ClickHouse's DateTime64 ends in 2299.
_NEWEST_S = datetime(2299, 1, 1, tzinfo=UTC).timestamp()

# Fewer digits are a date, as in 20260303.
_UNIX_TEXT = re.compile(r"[0-9]{9,19}(\.[0-9]{1,9})?", re.ASCII)


def is_plausible(time_s: float, arrived_ms: int) -> bool:
    """Return whether a client's time is in 2000 or later and at most a day after its arrival (0 if unknown)."""
    newest_s = (arrived_ms + MAX_AHEAD_MS) / 1000 if arrived_ms else _NEWEST_S
    return _OLDEST_S <= time_s <= newest_s


def unix_s(number: float) -> float:
    """Return a Unix time in seconds. Its size tells whether it is in seconds, milli-, micro- or nanoseconds."""
    for power in (9, 6, 3):
        # 1e11 seconds are in the year 5138, 1e11 milliseconds in 1973.
        if abs(number) >= 10 ** (power + 8):
            return number / 10**power
    return number


def utc_now() -> datetime:
    """Return the time of this machine's clock, in UTC."""
    return datetime.now(UTC)


def utc_text(moment: datetime) -> str:
    """Return `moment` as ISO 8601 in UTC with milliseconds: the form of every time on the wire."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def time_text(time_ms: int) -> str:
    """Return Unix milliseconds in the same form."""
    # Neither strftime nor astimezone: each took more time than all else that extraction does to a time.
    return f"{datetime.fromtimestamp(time_ms // 1000, UTC).isoformat()[:19]}.{time_ms % 1000:03d}Z"


def zone_named(name: str) -> ZoneInfo | None:
    """Return the time zone of an IANA name, such as Europe/Berlin; None for a name that is none."""
    try:
        return ZoneInfo(name) if name else None
    except (ValueError, OSError, ZoneInfoNotFoundError):
        return None


def parsed_time(text: str, zone: tzinfo = UTC) -> datetime | None:
    """
    Return the time in UTC that `text` has in ISO 8601; None where it has none, or one beyond the calendar.

    A text without an offset is a time of `zone`.
    """
    try:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def client_time(text: str) -> datetime | None:
    """Return the time in UTC that a client wrote: ISO 8601, or a Unix time in digits, of any unit."""
    if _UNIX_TEXT.fullmatch(text):
        return datetime.fromtimestamp(round(unix_s(float(text)) * 1000) / 1000, UTC)
    return parsed_time(text)


def parsed_end(text: str, zone: tzinfo = UTC) -> datetime | None:
    """Return the end of a range, as `parsed_time` does; a day without a time ends after that day."""
    try:
        next_day = date.fromisoformat(text) + timedelta(days=1)
        return datetime.combine(next_day, time(), zone).astimezone(UTC)
    except (ValueError, OverflowError):
        return parsed_time(text, zone)
