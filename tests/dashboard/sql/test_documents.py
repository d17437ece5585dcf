"""The SQL of docs/cookbook.md, docs/themes.md and docs/bi.md runs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

DOCS = Path(__file__).parents[3]


def blocks(page: str) -> list[str]:
    return re.findall(r"```sql\n(.*?)```", (DOCS / page).read_text("utf-8"), re.S)


def statements(page: str) -> list[str]:
    [block] = blocks(page)
    return [statement for statement in block.split(";\n") if statement.strip()]


@pytest.mark.parametrize("query", blocks("docs/cookbook.md"), ids=lambda query: query.split("\n")[0][:50])
def test_query_of_the_cookbook_runs(mine: Any, query: str) -> None:
    answer = mine.post("/api/v1/sql", json={"query": query.strip().removesuffix(";")})

    assert answer.status_code == 200, answer.text


def test_query_of_themes_runs(mine: Any) -> None:
    [query] = statements("docs/themes.md")

    assert mine.post("/api/v1/sql", json={"query": query}).status_code == 200


def test_views_for_bi_tools_show_one_project(world: Any) -> None:
    store = world.store
    for project_id in ("mine", "theirs"):
        world.add_task(project_id, "b-1")
        world.add_analysis(project_id, "b-1", "refund")
    try:
        for statement in statements("docs/bi.md"):
            store.command(statement.replace("phospho.", f"{store.database}.").replace("'shop'", "'mine'"))
        assert store.rows("SELECT DISTINCT project_id FROM shop_bi.tasks") == [{"project_id": "mine"}]
        assert store.rows("SELECT DISTINCT project_id FROM shop_bi.events") == [{"project_id": "mine"}]
    finally:
        store.command("DROP DATABASE IF EXISTS shop_bi")
