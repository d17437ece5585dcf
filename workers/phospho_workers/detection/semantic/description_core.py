"""What a description says happens, without who does it."""

from __future__ import annotations

import re

# Who does it is the same for most definitions of a project, and so tells nothing apart.
_ACTOR = re.compile(r"\s*the (user|assistant)\b(\s+(is|has|wants to|says that))?\s*", re.IGNORECASE)


def description_core(description: str) -> str:
    """Return a description without "The user is" and the like, or as it is where nothing else is in it."""
    actor = _ACTOR.match(description)
    rest = description[actor.end() :] if actor else ""
    return rest or description
