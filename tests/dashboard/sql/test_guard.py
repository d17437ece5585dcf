"""Users' SQL: what is refused, and that nothing of another project comes back whatever is asked."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from starlette.testclient import TestClient

from phospho_dashboard.sql.functions import FunctionCatalogue
from phospho_dashboard.sql.guard import TABLE_FUNCTIONS, VIEWS, SqlGuard
from phospho_web.problems import Problem

REFUSED = {
    # Tables that are not the views.
    "a base table": "SELECT * FROM task_rows",
    "a base table with its database": "SELECT * FROM phospho.task_rows",
    "a view with its database": "SELECT * FROM phospho.tasks",
    "a quoted base table": "SELECT * FROM `task_rows`",
    "keys": "SELECT key_hash FROM api_key_rows",
    "system tables": "SELECT * FROM system.tables",
    "a quoted system table": 'SELECT * FROM "system"."tables"',
    "information_schema": "SELECT * FROM information_schema.tables",
    "INFORMATION_SCHEMA": "SELECT * FROM INFORMATION_SCHEMA.TABLES",
    "the ledger of migrations": "SELECT * FROM schema_migrations",
    "a base table behind IN": "SELECT 1 WHERE 'x' IN task_rows",
    "a system table behind IN": "SELECT 1 WHERE 'x' IN system.tables",
    "a base table behind GLOBAL NOT IN": "SELECT 1 WHERE 'x' GLOBAL NOT IN api_key_rows",
    "a base table in in()": "SELECT in('x', project_rows)",
    "a base table in a subquery": "SELECT * FROM (SELECT * FROM analysis_rows)",
    "a base table in a scalar subquery": "SELECT (SELECT count() FROM task_rows)",
    "a base table in EXISTS": "SELECT EXISTS(SELECT 1 FROM task_rows)",
    "a base table in a join": "SELECT * FROM tasks t JOIN task_rows r ON t.task_id = r.task_id",
    "a base table in a union": "SELECT task_id FROM tasks UNION ALL SELECT task_id FROM task_rows",
    "a base table in INTERSECT": "SELECT task_id FROM tasks INTERSECT SELECT task_id FROM task_rows",
    "a base table in a CTE": "WITH x AS (SELECT * FROM task_rows) SELECT * FROM x",
    "a CTE of a base table's name": "SELECT (WITH task_rows AS (SELECT 1) SELECT 1), * FROM task_rows",
    "a base table in ANY": "SELECT 1 = ANY (SELECT 1 FROM task_rows)",
    "a base table as a CTE's alias": "WITH (SELECT count() FROM task_rows) AS n SELECT n",
    # Table functions.
    "merge()": "SELECT * FROM merge('phospho', '.*_rows')",
    "mergeTreeIndex()": "SELECT * FROM mergeTreeIndex('phospho', 'task_rows')",
    "file() as a table": "SELECT * FROM file('/etc/passwd', 'LineAsString')",
    "file() behind IN": "SELECT 'x' IN file('/etc/passwd', 'LineAsString')",
    "url()": "SELECT * FROM url('http://127.0.0.1/', 'LineAsString')",
    "remote()": "SELECT * FROM remote('127.0.0.1', phospho.task_rows)",
    "s3()": "SELECT * FROM s3('http://127.0.0.1/x')",
    "executable()": "SELECT * FROM executable('x.sh', 'TSV', 'a String')",
    "python()": "SELECT * FROM python(x)",
    "eval()": "SELECT * FROM eval('SELECT 1')",
    "view()": "SELECT * FROM view(SELECT * FROM task_rows)",
    "viewIfPermitted()": "SELECT * FROM viewIfPermitted(SELECT 1 ELSE null('x Int8'))",
    "loop()": "SELECT * FROM loop(task_rows)",
    "dictionary()": "SELECT * FROM dictionary('x')",
    "cluster()": "SELECT * FROM cluster('default', phospho.task_rows)",
    "filesystem()": "SELECT * FROM filesystem('/etc')",
    "sqlite()": "SELECT * FROM sqlite('/x', 'y')",
    "generateRandom()": "SELECT * FROM generateRandom('a String')",
    "EXPLAIN in FROM": "SELECT * FROM (EXPLAIN SELECT 1)",
    "a file by its path": "SELECT * FROM '/etc/passwd'",
    "a file by its quoted path": "SELECT * FROM `/etc/passwd`",
    "a file beside the process": "SELECT * FROM `phospho-data/admin-token`",
    "a file in a join": "SELECT 1 FROM tasks, `/etc/passwd`",
    "a CTE of a file's name": "SELECT (WITH `/etc/passwd` AS (SELECT 1) SELECT 1), * FROM `/etc/passwd`",
    "a URL as a table": "SELECT * FROM `http://127.0.0.1/x`",
    "a name that looks like one with an alias": "SELECT * FROM `tasks (alias x)/../../etc/passwd`",
    "a name that looks like one with children": "SELECT 1 AS `x (children 1)`",
    # Functions that do more than compute.
    "file()": "SELECT file('/etc/passwd')",
    "file() in capitals": "SELECT FILE('/etc/passwd')",
    "quoted file()": "SELECT `file`('/etc/passwd')",
    "file() in WHERE": "SELECT 1 FROM tasks WHERE file('/etc/passwd') = ''",
    "file() in a lambda": "SELECT arrayMap(x -> file(x), ['/etc/passwd'])",
    "file() in ORDER BY": "SELECT 1 ORDER BY file('/etc/passwd')",
    "file() in WITH FILL": "SELECT 1 AS x ORDER BY x WITH FILL FROM file('a') TO file('b')",
    "file() in INTERPOLATE": "SELECT 1 AS x, 2 AS y ORDER BY x WITH FILL INTERPOLATE (y AS file('/etc/passwd'))",
    "file() in LIMIT": "SELECT 1 LIMIT file('/etc/passwd')",
    "file() in LIMIT BY": "SELECT 1 LIMIT 1 BY file('/etc/passwd')",
    "file() in GROUPING SETS": "SELECT count() GROUP BY GROUPING SETS ((file('/etc/passwd')))",
    "file() in QUALIFY": "SELECT 1 QUALIFY file('/etc/passwd') = ''",
    "file() in a window": "SELECT count() OVER (PARTITION BY file('/etc/passwd'))",
    "file() in a named window": "SELECT count() OVER w WINDOW w AS (ORDER BY file('/etc/passwd'))",
    "file() in a window's frame": "SELECT count() OVER (ROWS BETWEEN file('x') PRECEDING AND CURRENT ROW)",
    "file() in a named window's frame": "SELECT count() OVER w WINDOW w AS (ROWS file('x') PRECEDING)",
    "a subquery in a window's frame": "SELECT count() OVER (ROWS (SELECT 1 FROM task_rows) PRECEDING)",
    "file() in REPLACE": "SELECT * REPLACE (file('/etc/passwd') AS input) FROM tasks",
    "file by APPLY": "SELECT * APPLY(file) FROM (SELECT '/etc/passwd')",
    "file() in APPLY": "SELECT * APPLY(x -> file(x)) FROM (SELECT '/etc/passwd')",
    "a function with APPLY": "SELECT COLUMNS('input') APPLY(toString) FROM tasks",
    "file() in a parameter": "SELECT quantile(file('/etc/passwd'))(1)",
    "file() in FILTER": "SELECT count() FILTER (WHERE file('/etc/passwd') = '')",
    "file() in ARRAY JOIN": "SELECT x FROM tasks ARRAY JOIN [file('/etc/passwd')] AS x",
    "file() in a join": "SELECT 1 FROM tasks t JOIN events e ON t.task_id = e.task_id AND file('x') = ''",
    "file() in numbers()": "SELECT * FROM numbers(length(file('/etc/passwd')))",
    "file() in values()": "SELECT * FROM values('x String', file('/etc/passwd'))",
    # Expressions in a text that ClickHouse parses: the structure of a table.
    "file() in an ALIAS of values()": r"SELECT b FROM values('a UInt8, b String ALIAS file(\'/etc/passwd\')', 1)",
    "file() in a DEFAULT of values()": r"SELECT b FROM values('a UInt8, b String DEFAULT file(\'/etc/passwd\')', 1)",
    "file() in a MATERIALIZED of values()": r"SELECT b FROM values('a UInt8, b String MATERIALIZED file(\'x\')', 1)",
    "file() in an EPHEMERAL of values()": r"SELECT b FROM values('a UInt8, b String EPHEMERAL file(\'x\')', 1)",
    "a setting in VALUES()": r"SELECT b FROM VALUES('a UInt8, b String ALIAS getSetting(\'max_threads\')', 1)",
    "sleep() in SQLStandardValues()": "SELECT b FROM SQLStandardValues('a UInt8, b UInt8 ALIAS sleep(3)', 1)",
    "hostName() in a subquery's values()": "SELECT * FROM (SELECT b FROM values('a Int8, b Int8 ALIAS hostName()', 1))",
    "currentUser() in a join's values()": "SELECT 1 FROM tasks t, values('a Int8, b String ALIAS currentUser()', 1) v",
    "file() in a DEFAULT of format()": r"SELECT * FROM format('JSONEachRow', 'b String DEFAULT file(\'x\')', '{}')",
    "format() behind IN": r"SELECT 'x' IN format('JSONEachRow', 'b String DEFAULT file(\'x\')', '{}')",
    "file() in an ALIAS of null()": r"SELECT b FROM null('a UInt8, b String ALIAS file(\'x\')')",
    "file() in an ALIAS of generateRandom()": r"SELECT b FROM generateRandom('a UInt8, b String ALIAS file(\'x\')')",
    "file() in an ALIAS of input()": r"SELECT b FROM input('a UInt8, b String ALIAS file(\'x\')')",
    # Bytes of a state, by its type in a text.
    "a cast to a state": "SELECT unhex('000101')::AggregateFunction(groupBitmap, UInt8)",
    "a forged state to read": "SELECT groupBitmapAnd(CAST(unhex('000101'), 'AggregateFunction(groupBitmap, UInt8)'))",
    "a cast to a state in a tuple": "SELECT CAST(tuple(unhex('00')), 'Tuple(a AggregateFunction(uniq, String))')",
    "a cast to a state that looks like an alias": (
        "SELECT CAST(tuple(unhex('00')), 'Tuple (alias AggregateFunction(uniq, String))' AS t)"
    ),
    "a cast to a computed type": "SELECT CAST(unhex('00'), concat('Aggregate', 'Function(uniq, String)'))",
    "a cast to a type by its alias": "WITH 'AggregateFunction(uniq, String)' AS t SELECT CAST(unhex('00'), t)",
    "a cast with parameters": "SELECT CAST(1, 'String')(unhex('00'), concat('Aggregate', 'Function(uniq, String)'))",
    "accurateCast() to a state": "SELECT accurateCast(unhex('00'), 'AggregateFunction(uniq, String)')",
    "accurateCastOrNull() to a computed type": "SELECT accurateCastOrNull(unhex('00'), lower('X'))",
    "accurateCastOrDefault() to a state": "SELECT accurateCastOrDefault('', 'AggregateFunction(uniq, String)')",
    "reinterpret() as a state": "SELECT reinterpret(unhex('00'), 'AggregateFunction(uniq, String)')",
    "_CAST to a state": "SELECT _CAST(unhex('00'), 'AggregateFunction(uniq, String)')",
    "cast() to a state": "SELECT cast(unhex('00'), 'AggregateFunction(uniq, String)')",
    "dictGet()": "SELECT dictGet('x', 'y', 1)",
    "dictGetOrDefault()": "SELECT dictGetOrDefault('x', 'y', 1, 2)",
    "dictHas()": "SELECT dictHas('x', 1)",
    "joinGet()": "SELECT joinGet('phospho.task_rows', 'input', 1)",
    "hasColumnInTable()": "SELECT hasColumnInTable('phospho', 'task_rows', 'input')",
    "catboostEvaluate()": "SELECT catboostEvaluate('/x', 1)",
    "evalMLMethod()": "SELECT evalMLMethod(1, 2)",
    "an AI function": "SELECT aiGenerate('x', input) FROM tasks",
    "getSetting()": "SELECT getSetting('additional_table_filters')",
    "getServerSetting()": "SELECT getServerSetting('max_connections')",
    "@@ variables": "SELECT @@version",
    "hostName()": "SELECT hostName()",
    "getMacro()": "SELECT getMacro('x')",
    "getServerPort()": "SELECT getServerPort('tcp_port')",
    "currentUser()": "SELECT currentUser()",
    "user()": "SELECT user()",
    "filesystemAvailable()": "SELECT filesystemAvailable()",
    "serverUUID()": "SELECT serverUUID()",
    "sleep()": "SELECT sleep(3)",
    "sleepEachRow()": "SELECT sleepEachRow(1) FROM tasks",
    "addressToLine()": "SELECT addressToLine(1)",
    "showCertificate()": "SELECT showCertificate()",
    "chdb()": "SELECT chdb()",
    "formatRow()": "SELECT formatRow('CSV', 1)",
    "groupFormat()": "SELECT groupFormat('CSV')(1)",
    "groupFormatIf()": "SELECT groupFormatIf('CSV')(1, 1)",
    "initializeAggregation()": "SELECT initializeAggregation('sumState', 1)",
    "a forged state": "SELECT uniqMerge(unhex('00')::AggregateFunction(uniq, String))",
    "a forged state in arrayReduce()": "SELECT arrayReduce('uniqMerge', [unhex('00')])",
    "a forged bitmap": "SELECT bitmapToArray(CAST(unhex('00'), 'AggregateFunction(groupBitmap, UInt8)'))",
    "lowCardinalityKeys()": "SELECT lowCardinalityKeys(model) FROM tasks",
    "dumpColumnStructure()": "SELECT dumpColumnStructure(metadata) FROM tasks",
    "a state": "SELECT sumState(1)",
    # One call of which may take minutes.
    "editDistance()": "SELECT editDistance(repeat('a', 65000), repeat('b', 65000))",
    "levenshteinDistance(), its alias": "SELECT levenshteinDistance(input, output) FROM tasks",
    "editDistanceUTF8()": "SELECT editDistanceUTF8(input, output) FROM tasks",
    "damerauLevenshteinDistance()": "SELECT damerauLevenshteinDistance(input, output) FROM tasks",
    "jaroWinklerSimilarity()": "SELECT jaroWinklerSimilarity(input, output) FROM tasks",
    "arrayLevenshteinDistance()": "SELECT arrayLevenshteinDistance(range(100000), range(100000))",
    "multiMatchAny()": "SELECT multiMatchAny(input, ['(a{1,900}){1,900}']) FROM tasks",
    "501 calls": f"SELECT {', '.join(['abs(1)'] * 501)}",
    "an internal function": "SELECT __actionName('x', 'y')",
    # Statements and clauses.
    "SETTINGS": "SELECT * FROM tasks SETTINGS additional_table_filters = {}",
    "SETTINGS in a subquery": "SELECT * FROM (SELECT * FROM tasks SETTINGS additional_table_filters = {})",
    "SETTINGS in a CTE": "WITH x AS (SELECT 1 SETTINGS max_threads = 1) SELECT * FROM x",
    "SETTINGS in a union": "SELECT 1 UNION ALL SELECT 2 SETTINGS max_threads = 1",
    "INTO OUTFILE": "SELECT 1 INTO OUTFILE 'phospho-out'",
    "FORMAT": "SELECT 1 FORMAT CSV",
    "two statements": "SELECT 1; SELECT 2",
    "a statement behind a comment": "SELECT 1 -- \n; DROP TABLE task_rows",
    "a statement behind a quote": "SELECT 'a\\'; DROP TABLE task_rows --'; DROP TABLE task_rows",
    "DROP": "DROP TABLE task_rows",
    "INSERT": "INSERT INTO task_rows (project_id) VALUES ('x')",
    "INSERT SELECT": "INSERT INTO task_rows SELECT * FROM task_rows",
    "CREATE": "CREATE TABLE x (a Int8) ENGINE = Memory",
    "CREATE FUNCTION": "CREATE FUNCTION f AS x -> x",
    "ALTER": "ALTER TABLE task_rows DELETE WHERE 1",
    "SET": "SET max_threads = 1",
    "USE": "USE system",
    "SYSTEM": "SYSTEM SHUTDOWN",
    "KILL": "KILL QUERY WHERE 1",
    "SHOW": "SHOW DATABASES",
    "SHOW CREATE": "SHOW CREATE TABLE task_rows",
    "DESCRIBE": "DESCRIBE TABLE task_rows",
    "EXPLAIN": "EXPLAIN SELECT 1",
    "a parallel statement": "SELECT 1 PARALLEL WITH DROP TABLE task_rows",
    "closing the parenthesis around": "SELECT 1) UNION ALL (SELECT 1",
    "a parameter for a table": "SELECT * FROM {table:Identifier}",
    "a name with a line break": "SELECT 1 AS `x\n Literal y`",
    "a name with an escaped line break": "SELECT * FROM `x\\nTableIdentifier tasks`",
    "nothing": "   ",
    "no SQL": "hello there everybody",
    "a null byte": "SELECT 1\0; DROP TABLE task_rows",
}

ALLOWED = (
    "SELECT 1",
    "SELECT * FROM tasks",
    "FROM tasks SELECT count()",
    "SELECT * FROM sessions ORDER BY last_task_at DESC LIMIT 10;",
    "WITH x AS (SELECT * FROM tasks), y AS (SELECT * FROM x) SELECT count() FROM y",
    "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r WHERE n < 10) SELECT * FROM r",
    "SELECT t.task_id, e.name FROM tasks t LEFT JOIN events e USING (task_id)",
    "SELECT name, count(), avg(score), quantile(0.95)(score), countIf(score > 0.5) FROM events GROUP BY name",
    "SELECT count(DISTINCT user_id), uniqExactIf(user_id, flag = 'success') FROM tasks",
    "SELECT toStartOfHour(created_at) AS hour, count() FROM tasks GROUP BY hour ORDER BY hour WITH FILL STEP 3600",
    "SELECT arrayMap(x -> upper(x), event_names), arrayJoin(event_names) FROM analyses",
    "SELECT name FROM events ARRAY JOIN [1, 2] AS x",
    "SELECT task_id, row_number() OVER (PARTITION BY session_id ORDER BY created_at) FROM tasks",
    "SELECT sum(latency_ms) OVER w FROM tasks WINDOW w AS (ORDER BY created_at ROWS 2 PRECEDING)",
    "SELECT metadata.model.:String, metadata.tokens_in FROM tasks",
    "SELECT * EXCEPT (input, output), COLUMNS('user') FROM tasks",
    "SELECT * FROM tasks WHERE task_id IN (SELECT task_id FROM events) AND input LIKE '%a%' OR match(input, 'x.*')",
    "WITH x AS (SELECT task_id FROM events) SELECT count() FROM tasks WHERE task_id IN x",
    "SELECT CASE WHEN flag = 'success' THEN 1 ELSE 0 END, CAST(1, 'String'), 1::Float64, INTERVAL 1 DAY FROM tasks",
    "SELECT number FROM numbers(10) UNION DISTINCT SELECT 1 EXCEPT SELECT 2",
    "SELECT 'AggregateFunction' AS x, CAST('[1]' AS Array(UInt8)), accurateCastOrNull('x', 'UInt8') AS n",
    "SELECT 'DROP TABLE task_rows; file(' AS x, '%s {a:String} %(b)s' AS y",
    "SELECT formatReadableSize(sum(length(input))), COUNT(*), Max(created_at) FROM tasks",
    "SELECT corr(latency_ms, tokens_out), stddevPop(latency_ms), argMax(input, created_at) FROM tasks",
    "SELECT JSONExtractString(raw_input, 'model'), cosineDistance([1.0], [2.0]), ngrams('abc', 2) FROM tasks",
    "SELECT base64Encode(payload), dateDiff('day', received_at, now()) FROM dead_letters",
    "SELECT * FROM definitions, feedback",
    f"SELECT {', '.join(['abs(1)'] * 500)}",
    "WITH `my tasks` AS (SELECT * FROM tasks) SELECT count() AS `Total (USD)`, max(input) AS `a/b` FROM `my tasks`",
    "SELECT 'é😀\\n\\t\\'' AS `a b`",
)


@pytest.fixture(scope="module")
def guard(world: Any) -> SqlGuard:
    return SqlGuard(world.store)


@pytest.mark.parametrize("sql", REFUSED.values(), ids=REFUSED.keys())
def test_a_statement_that_could_do_more_than_read_the_views_is_refused(guard: SqlGuard, sql: str) -> None:
    with pytest.raises(Problem) as refused:
        guard.checked(sql)

    assert refused.value.status == 400
    assert refused.value.code in {"not_allowed", "invalid_sql"}


@pytest.mark.parametrize("sql", ALLOWED)
def test_a_statement_that_analysts_write_is_answered(mine: TestClient, sql: str) -> None:
    answer = mine.post("/api/v1/sql", json={"query": sql})

    assert answer.status_code == 200, answer.text
    assert "data" in answer.json()


def test_the_tables_are_still_there_after_every_refusal(mine: TestClient, world: Any) -> None:
    for sql in REFUSED.values():
        answer = mine.post("/api/v1/sql", json={"query": sql})
        assert answer.status_code == 400, (sql, answer.text)

    assert world.store.rows("SELECT count() AS n FROM system.tables WHERE name = 'task_rows'") == [{"n": 1}]


def test_every_view_of_the_database_is_open_and_nothing_else_has_its_name(world: Any) -> None:
    rows = world.store.rows("SELECT name FROM system.tables WHERE database = 'phospho' AND engine = 'View'")

    # What the view of events stands on is nobody's to query.
    assert {row["name"] for row in rows} == {*VIEWS, "found_events"}


# What a table function may be given, from its name alone to a structure with an expression in it.
_ARGUMENTS = (
    "",
    "'/etc/passwd'",
    "'/etc/passwd', 'LineAsString'",
    "'CSV', 'a String'",
    r"'a String ALIAS file(\'/etc/passwd\')'",
    r"'JSONEachRow', 'a String DEFAULT file(\'/etc/passwd\')', '{}'",
    "SELECT 1",
    "phospho, task_rows",
    "currentDatabase(), 'task_rows'",
)


def test_no_table_function_of_the_engine_is_open_but_those_of_numbers(world: Any, guard: SqlGuard) -> None:
    rows = world.store.rows("SELECT name FROM system.table_functions ORDER BY name")
    names = {row["name"] for row in rows} - TABLE_FUNCTIONS
    assert {"file", "values", "format", "null", "url", "generateRandom", "view", "python"} <= names

    for name, arguments in zip(sorted(names), itertools.cycle(_ARGUMENTS), strict=False):
        for sql in (f"SELECT * FROM {name}({arguments})", f"SELECT 'x' IN {name}({arguments})"):
            with pytest.raises(Problem):
                guard.checked(sql)


def test_the_open_table_functions_take_no_text(mine: TestClient) -> None:
    for name in sorted(TABLE_FUNCTIONS):
        for arguments in filter(None, _ARGUMENTS):
            answer = mine.post("/api/v1/sql", json={"query": f"SELECT * FROM {name}({arguments})"})

            assert answer.status_code == 400, (name, arguments, answer.text)


def test_no_allowed_function_is_a_table_function_too(world: Any) -> None:
    catalogue = FunctionCatalogue(world.store)
    names = [row["name"] for row in world.store.rows("SELECT name FROM system.table_functions")]

    # `x IN f(...)` may call f as a table function.
    assert [name for name in names if catalogue.allows(name)] == []


@pytest.mark.parametrize(
    "text", ["a'b", "a\\b", "tab\there", "line\nbreak", "é😀", "{x:String}", "%s%%", "--", "/*", ";", ""]
)
def test_a_text_in_a_query_comes_back_as_it_was(mine: TestClient, text: str) -> None:
    quoted = text.replace("\\", "\\\\").replace("'", "\\'")

    answer = mine.post("/api/v1/sql", json={"query": f"SELECT '{quoted}' AS text /* ; */ -- '"})

    assert answer.json()["data"] == [{"text": text}]
