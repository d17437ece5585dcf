"""Names of versions for runs that do not name their own."""

from __future__ import annotations

import time

from ._ids import new_id

__all__ = ["generate_version_id"]


def generate_version_id() -> str:
    """Return today's date and four hexadecimal digits, as in `20260102_9f3a`."""
    return f"{time.strftime('%Y%m%d')}_{new_id()[-4:]}"
