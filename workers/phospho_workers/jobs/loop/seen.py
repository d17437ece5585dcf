"""What a job has looked at already, kept so that to ask twice costs nothing. A restart loses it, and no more."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping

# An insert is stamped when it begins and seen when it has ended: what arrived within this is asked for again.
OVERLAP_MS = 60_000
_MAX_REMEMBERED = 100_000


class Concluded:
    """Names with the revision at which there was nothing left to do for them; the latest 100,000."""

    def __init__(self) -> None:
        self._revisions: OrderedDict[str, int] = OrderedDict()

    def others(self, revisions: Mapping[str, int]) -> list[str]:
        """Return the names that are not concluded at their revision."""
        return [name for name, revision in revisions.items() if self._revisions.get(name) != revision]

    def add(self, revisions: Mapping[str, int]) -> None:
        """Conclude these."""
        for name, revision in revisions.items():
            self._revisions[name] = revision
            self._revisions.move_to_end(name)
        while len(self._revisions) > _MAX_REMEMBERED:
            self._revisions.popitem(last=False)
