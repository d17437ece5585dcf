"""The items that a job has read, so that reading them twice costs nothing. A restart loses it without harm."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping

# An insert is stamped when it begins and visible when it has ended: rows of the last minute are read again.
OVERLAP_MS = 60_000
_MAX_ITEMS = 100_000


class SeenCache:
    """The latest 100,000 items, each with the version that was read."""

    def __init__(self) -> None:
        self._versions: OrderedDict[str, int] = OrderedDict()

    def unseen(self, versions: Mapping[str, int]) -> list[str]:
        """Return the items that were not read in these versions."""
        return [item for item, version in versions.items() if self._versions.get(item) != version]

    def add(self, versions: Mapping[str, int]) -> None:
        """Remember items as read in these versions."""
        for item, version in versions.items():
            self._versions[item] = version
            self._versions.move_to_end(item)
        while len(self._versions) > _MAX_ITEMS:
            self._versions.popitem(last=False)
