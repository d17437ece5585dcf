"""Whatever is asked, the rows, the values and even the errors are of one's own project."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from starlette.testclient import TestClient

from phospho_dashboard.settings import DashboardSettings
from phospho_dashboard.sql.isolation import isolation_settings, project_filters
from phospho_schemas.messages import EventDefinition
from phospho_store.store import DATABASE
from phospho_web.problems import Problem

# Each returns no row, or rows of zeros, to one who sees only their own rows. OTHER is the other project.
ATTACKS = (
    "SELECT count() FROM tasks WHERE project_id != currentProject",
    "SELECT countIf(project_id = 'OTHER') FROM tasks",
    "SELECT countIf(project_id = 'OTHER') FROM sessions",
    "SELECT countIf(project_id = 'OTHER') FROM events",
    "SELECT countIf(project_id = 'OTHER') FROM analyses",
    "SELECT countIf(project_id = 'OTHER') FROM feedback",
    "SELECT countIf(project_id = 'OTHER') FROM definitions",
    "SELECT countIf(project_id = 'OTHER') FROM dead_letters",
    "SELECT countIf(has(user_ids, 'user-OTHER')) FROM sessions",
    "SELECT countIf(has(event_names, 'event-OTHER')) FROM sessions",
    "WITH x AS (SELECT * FROM tasks) SELECT countIf(project_id = 'OTHER') FROM x",
    "WITH x AS (SELECT * FROM tasks), y AS (SELECT * FROM x) SELECT countIf(project_id = 'OTHER') FROM y",
    "WITH (SELECT countIf(project_id = 'OTHER') FROM tasks) AS n SELECT n",
    "WITH tasks AS (SELECT * FROM events) SELECT countIf(project_id = 'OTHER') FROM tasks",
    "WITH RECURSIVE r AS (SELECT project_id, 1 AS n FROM tasks UNION ALL SELECT project_id, n + 1 FROM r WHERE n < 3)"
    " SELECT countIf(project_id = 'OTHER') FROM r",
    "SELECT (SELECT countIf(project_id = 'OTHER') FROM events)",
    "SELECT count() FROM (SELECT * FROM (SELECT * FROM tasks)) WHERE project_id = 'OTHER'",
    "SELECT sum(n) FROM (SELECT countIf(project_id = 'OTHER') AS n FROM tasks UNION ALL"
    " SELECT countIf(project_id = 'OTHER') FROM events UNION DISTINCT"
    " SELECT countIf(project_id = 'OTHER') FROM feedback)",
    "SELECT count() FROM (SELECT project_id FROM tasks INTERSECT SELECT 'OTHER')",
    "SELECT toUInt8('OTHER' IN (SELECT project_id FROM tasks))",
    "WITH x AS (SELECT project_id FROM events) SELECT toUInt8('OTHER' IN x)",
    "SELECT toUInt8('OTHER' GLOBAL IN (SELECT project_id FROM feedback))",
    "SELECT toUInt8('OTHER' = ANY (SELECT project_id FROM tasks))",
    "SELECT toUInt8(EXISTS(SELECT 1 FROM tasks WHERE project_id = 'OTHER'))",
    "SELECT count() FROM tasks t JOIN events e ON t.task_id = e.task_id WHERE e.project_id = 'OTHER'",
    "SELECT count() FROM tasks t LEFT JOIN tasks u ON u.project_id = 'OTHER' AND t.session_id = u.session_id"
    " WHERE u.task_id != ''",
    "SELECT count() FROM tasks t FULL JOIN analyses a ON t.task_id = a.task_id"
    " WHERE t.project_id = 'OTHER' OR a.project_id = 'OTHER'",
    "SELECT count() FROM tasks t, sessions s WHERE t.project_id = 'OTHER' OR s.project_id = 'OTHER'",
    "SELECT count() FROM tasks t ANTI JOIN (SELECT task_id FROM analyses) a ON t.task_id = a.task_id"
    " WHERE t.project_id = 'OTHER'",
    "SELECT arrayCount(x -> x = 'OTHER', groupUniqArray(project_id)) FROM tasks",
    "SELECT has(groupArray(project_id), 'OTHER') FROM events",
    "SELECT count() FROM (SELECT project_id, x FROM tasks ARRAY JOIN [1, 2] AS x) WHERE project_id = 'OTHER'",
    "SELECT count() FROM (SELECT 'OTHER' AS project_id) p JOIN tasks t USING (project_id)",
    "SELECT countIf(p = 'OTHER') FROM (SELECT lagInFrame(project_id) OVER (ORDER BY project_id) AS p FROM tasks)",
    "SELECT count() FROM (SELECT max(project_id) AS high, min(project_id) AS low FROM tasks)"
    " WHERE high = 'OTHER' OR low = 'OTHER'",
    "SELECT countIf(project_id = 'OTHER') FROM (SELECT project_id FROM tasks GROUP BY project_id WITH ROLLUP)",
    "SELECT countIf(project_id = 'OTHER') FROM (SELECT project_id FROM tasks LIMIT 1 BY project_id)",
    "SELECT countIf(input LIKE '%OTHER%') FROM tasks",
    "SELECT countIf(evidence LIKE '%OTHER%') FROM events",
    "SELECT countIf(comment LIKE '%OTHER%') FROM feedback",
    "SELECT count() FROM (SELECT * REPLACE ('x' AS project_id) FROM tasks) WHERE input LIKE '%OTHER%'",
    "SELECT 'OTHER' AS project_id, 0 FROM tasks WHERE input LIKE '%OTHER%'",
    "WITH 'OTHER' AS project_id SELECT countIf(input LIKE '%OTHER%') FROM tasks",
    "WITH 'OTHER' AS project_id SELECT countIf(evidence LIKE '%OTHER%') FROM events",
    "WITH analysis_rows AS (SELECT 1) SELECT countIf(evidence LIKE '%OTHER%') FROM events",
    "SELECT countIf(model LIKE '%OTHER%') FROM tasks AS task_rows",
    "SELECT countIf(has(models, 'model-OTHER') OR has(version_ids, 'version-OTHER')) FROM sessions",
    "SELECT countIf(n > 0) FROM (SELECT"
    " (SELECT count() FROM events e WHERE e.task_id = t.task_id AND e.project_id = 'OTHER') AS n FROM tasks t)",
    "SELECT has(groupUniqArrayArray(JSONAllPaths(metadata)), 'key_OTHER') FROM tasks",
    "SELECT has(groupUniqArrayArray(JSONDynamicPaths(metadata)), 'key_OTHER') FROM tasks",
    "SELECT has(groupUniqArrayArray(JSONSharedDataPaths(metadata)), 'key_OTHER') FROM tasks",
    "SELECT has(distinctJSONPaths(metadata), 'key_OTHER') FROM tasks",
    "SELECT mapContains(distinctJSONPathsAndTypes(metadata), 'key_OTHER') FROM tasks",
    "SELECT countIf(isNotNull(metadata.key_OTHER)) FROM tasks",
    "SELECT has(groupUniqArray(dynamicType(metadata.key_OTHER)), 'Int64') FROM tasks",
    "SELECT toUInt8(max(model) LIKE '%OTHER%' OR min(model) LIKE '%OTHER%') FROM tasks",
    "SELECT toUInt8(has(topK(10)(name), 'event-OTHER')) FROM events",
    "SELECT countIf(name LIKE '%OTHER%') FROM definitions",
    "SELECT countIf(payload LIKE '%OTHER%') FROM dead_letters",
    "SELECT count() FROM definitions WHERE throwIf(name LIKE '%OTHER%')",
    "SELECT count() FROM dead_letters WHERE throwIf(payload LIKE '%OTHER%')",
    "SELECT count() FROM tasks WHERE throwIf(model LIKE '%OTHER%')",
    "SELECT sum(throwIf(model = 'model-OTHER')) FROM tasks",
    "SELECT count() FROM events WHERE throwIf(name = 'event-OTHER')",
    "SELECT count() FROM tasks WHERE throwIf(project_id = 'OTHER')",
    "SELECT count() FROM events WHERE throwIf(evidence LIKE '%OTHER%')",
    "SELECT count() FROM analyses WHERE throwIf(project_id = 'OTHER')",
    "SELECT count() FROM feedback WHERE throwIf(project_id = 'OTHER')",
    "SELECT count() FROM sessions WHERE throwIf(has(user_ids, 'user-OTHER'))",
    "SELECT sum(throwIf(project_id = 'OTHER')) FROM tasks",
    "SELECT count() FROM tasks t JOIN tasks u ON t.session_id = u.session_id AND throwIf(u.project_id = 'OTHER')",
    "SELECT count() FROM tasks WHERE task_id IN (SELECT task_id FROM events WHERE throwIf(project_id = 'OTHER'))",
)
LEAKING_ERRORS = (
    "SELECT toUInt8(model) FROM tasks",
    "SELECT count() FROM tasks WHERE toUInt8(version_id) = 1",
    "SELECT CAST(model, 'Enum8(\\'x\\' = 1)') FROM tasks",
    "SELECT toUInt8(name) FROM events",
    "SELECT max(toUInt8(name)) FROM definitions",
    "SELECT arrayMap(name -> toUInt8(name), event_names) FROM analyses",
    "SELECT arrayMap(id -> toUInt8(id), user_ids) FROM sessions",
    "SELECT CAST(metadata, 'JSON(a UInt8)') FROM tasks",
    "SELECT toUInt8(toString(metadata)) FROM tasks",
    "SELECT model, project_id, version_id FROM tasks",
    "SELECT toUInt8(input) FROM tasks",
    "SELECT count() FROM tasks WHERE toUInt8(input) = 1",
    "SELECT count() FROM events WHERE toUInt8(evidence) = 1",
    "SELECT count() FROM feedback WHERE toUInt8(comment) = 1",
    "SELECT count() FROM analyses WHERE toDate(project_id) = '2026-01-01'",
    "SELECT toUInt8(payload) FROM dead_letters",
)


@pytest.fixture(scope="module")
def clients(world: Any) -> dict[str, TestClient]:
    """Return a client of each of two projects whose rows lie side by side in the same parts, under the same ids."""
    for table in ("task_rows", "analysis_rows", "feedback_rows"):
        world.store.command(f"SYSTEM STOP MERGES {table}")
    clients = {}
    for project_id in ("alpha", "omega"):
        world.registry.save_project(project_id)
        clients[project_id] = world.client(world.registry.create_key(project_id).secret)
    for number in range(20):
        for project_id in ("alpha", "omega"):
            task_id = f"t-{number}"
            world.add_task(
                project_id,
                task_id,
                user_id=f"user-{project_id}",
                version_id=f"version-{project_id}",
                model=f"model-{project_id}",
                input=f"secret of {project_id}",
                metadata={f"key_{project_id}": number},
            )
            world.add_analysis(project_id, task_id, f"event-{project_id}")
            world.add_feedback(project_id, task_id, "success")
    for project_id in ("alpha", "omega"):
        definition = EventDefinition(project_id=project_id, name=f"event-{project_id}", created_at=datetime.now(UTC))
        world.registry.save_definition(definition)
        world.add_dead_letter(f"letter-of-{project_id}", project_id, f"payload of {project_id}".encode())
    for table in ("task_rows", "analysis_rows", "feedback_rows"):
        world.store.command(f"SYSTEM START MERGES {table}")
        world.store.command(f"OPTIMIZE TABLE {table} FINAL")
    return clients


def both_ways(statements: Sequence[str]) -> list[Any]:
    """Return (own, other, statement): one way, in turn before and behind the other's rows, and in `make chaos` both."""
    ways = (("alpha", "omega"), ("omega", "alpha"))
    return [
        pytest.param(*way, statement, marks=[] if (number + turn) % 2 else pytest.mark.chaos)
        for number, statement in enumerate(statements)
        for turn, way in enumerate(ways)
    ]


@pytest.mark.parametrize(("own", "other", "attack"), both_ways(ATTACKS))
def test_no_row_of_another_project_is_seen(clients: dict[str, TestClient], attack: str, own: str, other: str) -> None:
    sql = attack.replace("OTHER", other).replace("currentProject", f"'{own}'")

    answer = clients[own].post("/api/v1/sql", json={"query": sql, "format": "JSONCompact"})

    assert answer.status_code == 200, answer.text
    assert all(value == 0 for row in answer.json()["data"] for value in row), answer.text


@pytest.mark.parametrize(("own", "other", "sql"), both_ways(LEAKING_ERRORS))
def test_an_error_shows_no_value_of_another_project(
    clients: dict[str, TestClient], sql: str, own: str, other: str
) -> None:
    answer = clients[own].post("/api/v1/sql", json={"query": sql})

    assert other not in answer.text


@pytest.mark.parametrize(
    ("sql", "hint"),
    [
        ("SELECT nme FROM events", "did you mean name?"),
        ("SELECT 1 + 'x' FROM events", "to see the columns: DESCRIBE events"),
        ("SELECT name FROM evnts", "did you mean events? the views are: tasks, sessions, events"),
    ],
)
def test_hint_of_failed_sql_names_the_views_of_the_statement(
    clients: dict[str, TestClient], sql: str, hint: str
) -> None:
    answer = next(iter(clients.values())).post("/api/v1/sql", json={"query": sql})

    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "query_failed")
    assert answer.json()["error"]["hint"].startswith(hint)


def test_what_one_project_asked_does_not_change_what_another_finds(clients: dict[str, TestClient]) -> None:
    sql = "SELECT count() AS n FROM tasks WHERE input LIKE '%secret of omega%'"

    content = [clients[own].post("/api/v1/sql", json={"query": sql}).json()["data"][0]["n"] for own in
             ("alpha", "omega", "alpha", "omega")]  # fmt: skip

    assert content == [0, 20, 0, 20]


@pytest.mark.parametrize("fmt", ["Parquet", "Arrow"])
def test_a_file_has_no_dictionary_with_values_of_another_project(
    clients: dict[str, TestClient], world: Any, fmt: str
) -> None:
    plain = {"output_format_parquet_compression_method": "none", "output_format_arrow_compression_method": "none"}
    settings = isolation_settings("alpha", DATABASE, DashboardSettings()) | plain

    body = world.store.raw("SELECT * FROM tasks", fmt, settings=settings)

    assert b"model-alpha" in body
    assert b"omega" not in body


def test_each_project_sees_all_of_its_own_rows(clients: dict[str, TestClient]) -> None:
    sql = (
        "SELECT (SELECT count() FROM tasks) AS tasks, (SELECT count() FROM events) AS events,"
        " (SELECT count() FROM feedback) AS feedback, (SELECT count() FROM analyses) AS analyses,"
        " (SELECT sum(tasks) FROM sessions) AS of_sessions"
    )

    for client in clients.values():
        row = client.post("/api/v1/sql", json={"query": sql}).json()["data"][0]
        assert row == {"tasks": 20, "events": 20, "feedback": 20, "analyses": 20, "of_sessions": 20}


def test_the_filter_of_one_query_is_gone_from_the_connection_after_it(
    clients: dict[str, TestClient], world: Any
) -> None:
    for sql in ("SELECT count() FROM tasks", "SELECT nothing FROM tasks", "SELECT throwIf(1)"):
        clients["alpha"].post("/api/v1/sql", json={"query": sql})

    assert world.store.rows("SELECT uniqExact(project_id) AS n FROM task_rows WHERE input LIKE 'secret%'") == [{"n": 2}]


@pytest.mark.parametrize("project_id", ["a'b", "a\\", "", "a b", "é", "x" * 129, "a\n"])
def test_a_project_id_that_would_need_escaping_is_refused(project_id: str) -> None:
    with pytest.raises(Problem):
        project_filters(project_id, DATABASE)


def test_an_administrator_queries_one_project_at_a_time(clients: dict[str, TestClient], admin: TestClient) -> None:
    answer = admin.post(
        "/api/v1/sql",
        json={"query": "SELECT DISTINCT project_id FROM tasks", "format": "TSV"},
        headers={"X-Phospho-Project": "omega"},
    )

    assert answer.text == "omega\n"


@pytest.mark.parametrize(
    ("changes", "sql", "code"),
    [
        ({"sql_timeout_s": 1}, "SELECT sum(sipHash64(number)) FROM numbers(100000000000)", "query_too_slow"),
        (
            {"sql_max_memory_bytes": 20_000_000},
            "SELECT uniqExact(number) FROM numbers(10000000)",
            "query_too_large",
        ),
        ({"sql_max_result_rows": 100}, "SELECT * FROM numbers(1000)", "result_too_large"),
        ({"sql_max_result_bytes": 1000}, "SELECT repeat('x', number) FROM numbers(1000)", "result_too_large"),
        # 100 rows of a byte each, whose name stands in every row.
        (
            {"sql_max_result_bytes": 10_000},
            f"SELECT toUInt8(number) AS {'a' * 200} FROM numbers(100)",
            "result_too_large",
        ),
        ({"sql_max_result_bytes": 10_000}, f"SELECT '{'a' * 200}' FROM numbers(100)", "result_too_large"),
        ({"sql_max_query_bytes": 10}, "SELECT 1 AS a_long_name", "invalid_field"),
    ],
)
def test_a_query_beyond_a_limit_is_told_which(world: Any, changes: dict[str, int], sql: str, code: str) -> None:
    client = world.client(world.keys["mine"], DashboardSettings(**changes))  # type: ignore[arg-type]

    answer = client.post("/api/v1/sql", json={"query": sql})

    assert (answer.status_code, answer.json()["error"]["code"]) == (422, code)
    left = "SELECT name FROM system.settings WHERE changed AND (name LIKE 'max_%' OR name LIKE 'additional%')"
    assert world.store.rows(left) == []
    assert client.post("/api/v1/sql", json={"query": "SELECT 1", "format": "CSV"}).text == "1\n"


@pytest.mark.parametrize(
    ("fmt", "start"),
    [
        ("TSV", b"1\tx\n"),
        ("TSVWithNames", b"a\tb\n1\tx\n"),
        ("CSV", b'1,"x"\n'),
        ("CSVWithNames", b'"a","b"\n'),
        ("JSON", b"{"),
        ("JSONEachRow", b'{"a":1,"b":"x"}\n'),
        ("JSONCompact", b"{"),
        ("Pretty", b""),
        ("PrettyCompact", b""),
        ("Markdown", b"| a | b |"),
        ("Vertical", b"Row 1:"),
        ("Parquet", b"PAR1"),
        ("Arrow", b"ARROW1"),
    ],
)
def test_a_result_comes_in_the_format_asked_for(mine: TestClient, fmt: str, start: bytes) -> None:
    answer = mine.post("/api/v1/sql", json={"query": "SELECT 1 AS a, 'x' AS b", "format": fmt})

    assert answer.status_code == 200, answer.text
    assert answer.content.startswith(start)
    assert b"\x1b" not in answer.content or fmt in {"Parquet", "Arrow"}


def test_a_format_that_is_not_listed_is_refused(mine: TestClient) -> None:
    answer = mine.post("/api/v1/sql", json={"query": "SELECT 1", "format": "Template"})

    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "unknown_format")


def test_every_table_of_the_database_has_a_filter(world: Any) -> None:
    rows = world.store.rows("SELECT name FROM system.tables WHERE database = 'phospho' AND engine != 'View'")
    filters = project_filters("mine", DATABASE)

    assert rows
    for row in rows:
        assert f"'phospho.{row['name']}'" in filters
