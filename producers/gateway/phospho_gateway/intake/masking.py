"""Masking in the gateway, by the rules in the settings of each project."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from phospho_schemas.shapes.masking import Mask, mask_of

# The mask of a project, or None.
Masks = Callable[[str], Mask | None]


def no_mask(project_id: str) -> None:
    """Mask nothing."""
    return


def masks_of(rules: Callable[[str], tuple[str, ...]]) -> Masks:
    """Return the mask of each project, by the rules that it has at the time of the call."""
    return lambda project_id: _mask(rules(project_id))


@cache
def _mask(rules: tuple[str, ...]) -> Mask | None:
    return mask_of(rules) if rules else None
