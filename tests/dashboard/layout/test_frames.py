"""The navigation: each section has its icon."""

from __future__ import annotations

from phospho_dashboard.layout.pages import SECTIONS
from phospho_dashboard.web.rendering import STATIC_DIR


def test_every_section_has_an_icon() -> None:
    icons = (STATIC_DIR / "icons.svg").read_text()

    assert [name for name, *_ in SECTIONS if f'<symbol id="{name}"' not in icons] == []
