"""`phospho up`: what it finds in its folder does not keep it from taking logs."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from phospho_schemas.ids import newest_revision
from phospho_store.migrations import migrate
from phospho_store.store import embedded
from phospho_workers.embedded.up import UpSettings, last_revision, open_app

KEY = "ph_a_key_for_tests_0123456789"
TASK = (
    b'{"project_id":"shop","task_id":"%s","revision":%d,"session_id":"s","input":"hello",'
    b'"created_at":"2026-01-01T10:00:00.000Z","received_at":"2026-01-01T10:00:00.000Z"}'
)
GOOD, MADE_UP = 7 << 16, 2**64 - 1


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """A folder in which somebody's row has a revision that no clock of ours could have drawn."""
    store = embedded(str(tmp_path / "clickhouse"))
    list(migrate(store))
    store.insert("task_rows", TASK % (b"good", GOOD) + b"\n" + TASK % (b"made-up", MADE_UP))
    store.close()
    return tmp_path


def test_the_last_revision_is_the_greatest_that_can_be_ours(data_dir: Path) -> None:
    store = embedded(str(data_dir / "clickhouse"))
    assert last_revision(store, newest_revision(8)) == GOOD
    assert last_revision(store, MADE_UP) == MADE_UP
    store.close()


async def test_a_made_up_revision_in_the_tables_does_not_stop_the_next_start(data_dir: Path) -> None:
    settings = UpSettings(data_dir, port=0, clickhouse_port=0, project_id="shop", api_key=KEY)
    with open_app(settings) as running:
        app = httpx.ASGITransport(running.apps[0].app)
        async with httpx.AsyncClient(transport=app, base_url=running.base_url) as client:
            answer = await client.post(
                "/api/v1/events", json={"input": "a", "output": "b"}, headers={"Authorization": f"Bearer {KEY}"}
            )
    assert answer.status_code == 201, answer.text
