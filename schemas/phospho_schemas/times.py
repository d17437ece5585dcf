"""Times on the wire: ISO 8601 in UTC with milliseconds out; any ISO 8601 in, in UTC where it names no zone."""

from __future__ import annotations

from datetime import UTC, datetime


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


def parsed_time(text: str) -> datetime | None:
    """Return the time in UTC that `text` has in ISO 8601; None where it has none, or one beyond the calendar."""
    try:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
