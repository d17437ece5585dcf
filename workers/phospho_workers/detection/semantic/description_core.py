"""The core of a description: the event without its actor."""

from __future__ import annotations

import re

# Most definitions of a project have the same actor, so it tells nothing apart.
_ACTOR = re.compile(r"\s*the (user|assistant)\b(\s+(is|has|wants to|says that))?\s*", re.IGNORECASE)


def description_core(description: str) -> str:
    """Return a description without "The user is" and the like, or as it is if nothing else is in it."""
    actor = _ACTOR.match(description)
    rest = description[actor.end() :] if actor else ""
    return rest or description
