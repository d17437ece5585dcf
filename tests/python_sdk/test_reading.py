"""Reading of tasks, sessions and the project, against a server that answers as the query API does."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import phospho
from phospho.testing import PhosphoTest

Make = Callable[..., phospho.Client]

TASK = {"task_id": "t'1", "session_id": "s1", "input": "why?", "output": "42", "flag": "success"}


class QueryApi:
    """A script for the server: rows for SQL, pages for sessions. `statements` holds the SQL it got."""

    def __init__(self, server: Any) -> None:
        self.statements: list[str] = []
        self._server = server
        server.script = self

    def __call__(self, request: Any) -> Any:
        path, _, query = request.path.partition("?")
        if path == "/api/v1/sql":
            self.statements.append(request.document["query"])
            rows = [] if "missing" in request.document["query"] else [TASK]
            return self._server.reply(b"\n".join(json.dumps(row).encode() for row in rows))
        if path == "/api/v1/projects":
            return self._server.reply({"projects": [{"project_id": "p1", "name": "One"}]})
        if path == "/api/v1/sessions":
            return self._server.reply({"sessions": [{"session_id": "s1", "tasks": 2}], "next_cursor": None})
        if path == "/api/v1/sessions/s1":
            page = ["t2"] if "cursor=next" in query else ["t1"]
            cursor = None if "cursor=next" in query else "next"
            session = {"session_id": "s1", "task_list": [{"task_id": task_id} for task_id in page]}
            return self._server.reply({"session": session, "next_cursor": cursor})
        return self._server.error(404, "unknown_session") if path.startswith("/api/v1/sessions/") else None


@pytest.fixture
def api(server: Any) -> QueryApi:
    return QueryApi(server)


def test_task_is_fetched_with_content(api: QueryApi, make_client: Make) -> None:
    task = make_client().tasks.get("t'1")

    assert (task.id, task.content["output"], task.content_as_dict()["flag"]) == ("t'1", "42", "success")
    assert api.statements == [r"SELECT * FROM tasks WHERE task_id = 't\'1' LIMIT 1"]


def test_missing_task_raises_not_found(api: QueryApi, make_client: Make) -> None:
    with pytest.raises(phospho.NotFoundError):
        make_client().tasks.get("missing")


def test_tasks_list_returns_newest_tasks(api: QueryApi, make_client: Make) -> None:
    assert [task.id for task in make_client().tasks.list(limit=5)] == ["t'1"]
    assert api.statements[0].endswith("LIMIT 5")


def test_session_lists_tasks_of_all_pages_in_order(api: QueryApi, make_client: Make) -> None:
    client = make_client()

    assert [session.id for session in client.sessions.list()] == ["s1"]
    assert [task.id for task in client.sessions.get("s1").list_tasks()] == ["t1", "t2"]


def test_missing_session_raises_not_found(api: QueryApi, make_client: Make) -> None:
    with pytest.raises(phospho.NotFoundError, match="unknown_session"):
        make_client().sessions.get("nobody")


def test_project_is_that_of_the_key(api: QueryApi, make_client: Make) -> None:
    assert make_client().project()["name"] == "One"
    with pytest.raises(phospho.NotFoundError):
        make_client(project_id="p2").project()


def test_unreachable_server_raises_api_error(make_client: Make) -> None:
    with pytest.raises(phospho.APIError) as error:
        make_client(base_url="http://127.0.0.1:1").tasks.get("t1")
    assert error.value.status == 0


def test_user_feedback_returns_task_without_fetching_it(api: QueryApi, server: Any) -> None:
    phospho.init(base_url=server.url, tick=60)

    task = phospho.user_feedback("t'1", flag="success")

    assert api.statements == []
    assert task is not None
    assert task.content["input"] == "why?"


class TestPhosphoTest:
    def test_backtest_runs_agent_over_logged_tasks(self, api: QueryApi, server: Any) -> None:
        phospho_test = PhosphoTest(version_id="candidate", base_url=server.url, tick=0.01)

        @phospho_test.test(source_loader="backtest", source_loader_params={"sample_size": 3})
        def answer(message: Any) -> str:
            return f"{message.content} Because."

        results = phospho_test.run()

        assert [(result.function, result.input, result.output) for result in results] == [
            ("answer", "why?", "why? Because.")
        ]
        assert [(log["version_id"], log["output"]) for log in server.logs] == [("candidate", "why? Because.")]
        phospho_test.client.close()

    @pytest.mark.parametrize(
        ("name", "text"),
        [
            ("data.csv", "input,tone\nwhy?,kind\nhow?,rude\n"),
            ("data.jsonl", '{"input": "why?", "tone": "kind"}\n{"input": "how?", "tone": "rude"}\n'),
            ("data.json", '[{"input": "why?", "tone": "kind"}, {"input": "how?", "tone": "rude"}]'),
        ],
    )
    def test_dataset_columns_are_passed_by_name(self, tmp_path: Path, name: str, text: str) -> None:
        (tmp_path / name).write_text(text)
        transport = phospho.RecordingTransport()
        phospho_test = PhosphoTest(transport=transport)

        @phospho_test.test(source_loader="dataset", source_loader_params={"path": str(tmp_path / name)})
        def answer(input: str, tone: str) -> str:
            if tone == "rude":
                raise ValueError("no")
            return f"{input} {tone}"

        results = phospho_test.run(executor_type="sequential")

        assert [result.output for result in results] == ["why? kind", None]
        assert isinstance(results[1].error, ValueError)
        assert [log["output"] for log in transport.logs] == ["why? kind"]
        phospho_test.client.close()


def test_recording_replaces_default_client_in_block(server: Any) -> None:
    phospho.init(base_url=server.url, tick=0.01)

    with phospho.testing.recording() as sent:
        phospho.log(input="recorded")
    phospho.log(input="sent")
    phospho.flush()

    assert [log["input"] for log in sent.logs] == ["recorded"]
    assert [log["input"] for log in server.logs] == ["sent"]
