"""The API that closes a session."""

from __future__ import annotations

from starlette.testclient import TestClient

from dashboard.conftest import MINE, World


def test_a_session_is_closed_once_it_is_there(world: World, fake_mine: TestClient) -> None:
    world.add_task(MINE, "closing", session_id="a/b c")
    assert fake_mine.post("/api/v1/sessions/a%2Fb%20c/close").json()["closing"]["session_id"] == "a/b c"
    assert fake_mine.post("/api/v1/sessions/unknown/close").status_code == 404
