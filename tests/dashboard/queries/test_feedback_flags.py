"""A person's last feedback comes before the log's flag: every page and file has the flag of the view `tasks`."""

from __future__ import annotations

from collections import Counter
from typing import Any

import orjson
import pytest


@pytest.fixture
def judged(world: Any, project: str) -> str:
    """Return a project with each way in which a flag comes about, one session a task."""
    for task_id, logged, said in (
        ("logged", "success", ()),
        ("overruled", "success", ("failure",)),
        ("changed", "", ("success", "failure")),
        ("commented", "failure", ("success", "")),
        ("open", "", ()),
    ):
        world.add_task(project, task_id, flag=logged, session_id=f"s-{task_id}")
        for number, flag in enumerate(said):
            world.add_feedback(project, task_id, flag, feedback_id=f"f{number}", revision=2 + number)
    # Two at once: the one of the greater id.
    world.add_task(project, "tied", session_id="s-tied")
    world.add_feedback(project, "tied", "success", feedback_id="f2")
    world.add_feedback(project, "tied", "failure", feedback_id="f1")
    return project


def test_pages_and_files_have_the_flag_of_the_view(world: Any, judged: str) -> None:
    sql = "SELECT task_id, toString(flag) AS flag FROM tasks WHERE project_id = {project:String}"
    expected = {row["task_id"]: row["flag"] for row in world.store.rows(sql, {"project": judged})}
    pages = world.open_pages()

    def read(path: str, **query: str) -> Any:
        return pages.get(path, params={"project": judged, **query})

    lines = [orjson.loads(line) for line in read("/tasks.jsonl").content.splitlines()]
    totals = read("/dashboard.json").json()["totals"]
    sessions = read("/sessions.json").json()["sessions"]

    assert expected["tied"] == "success"
    assert {task["task_id"]: task["flag"] for task in read("/tasks.json").json()["tasks"]} == expected
    assert {line["task_id"]: line["flag"] for line in lines} == expected
    for flag, counted in (("success", "successes"), ("failure", "failures")):
        having = {task_id for task_id, said in expected.items() if said == flag}
        assert {task["task_id"] for task in read("/tasks.json", flag=flag).json()["tasks"]} == having
        assert totals[counted] == len(having) == Counter(expected.values())[flag]
        assert {row["session_id"] for row in sessions if row[counted]} == {f"s-{task_id}" for task_id in having}
