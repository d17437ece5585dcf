"""docs/settings.md is what the settings classes say."""

from __future__ import annotations

import re
from pathlib import Path

from phospho_cli.commands.operations.schemas import SETTINGS_PAGE, settings_page

REPOSITORY = Path(__file__).parents[2]


def test_settings_page_is_up_to_date() -> None:
    assert (REPOSITORY / SETTINGS_PAGE).read_text("utf-8") == settings_page(), "run `phospho schemas` in the repository"


def test_settings_page_has_every_variable_that_compose_sets() -> None:
    compose = (REPOSITORY / "docker-compose.yml").read_text("utf-8")
    variables = set(re.findall(r"^\s+(PHOSPHO_[A-Z_]+):", compose, re.MULTILINE))

    assert len(variables) > 10
    assert not [name for name in variables if f"`{name}`" not in settings_page()]


def test_settings_page_has_a_unit_or_a_meaning_in_each_row() -> None:
    rows = [line.split(" | ") for line in settings_page().splitlines() if line.startswith(("| `", "|  |"))]
    assert rows
    assert all(len(row) == 5 and row[4].rstrip(" |").endswith(".") for row in rows)
