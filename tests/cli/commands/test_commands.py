"""The client commands against the API: what is asked, what is printed where, and how they end."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cli.conftest import Run
from cli.fake_server import FakeServer
from phospho_cli import main
from phospho_dashboard.sql.guard import VIEWS
from phospho_schemas.messages import ProjectSettings

SQL = "/api/v1/sql"
CLIENT_COMMANDS = ("import", "query", "definitions", "keys", "projects", "dead-letters", "demo")
YAML = """
definitions:
  - name: refund
    description: The user asks for their money back
    engine: keyword
    scope: input
    keywords: [refund, money back]
  - name: order
    engine: regex
    pattern: 'ORD-[0-9]+'
  - name: angry
    description: The user is angry
    threshold: 0.4
"""


def applied(run: Run, text: str) -> Any:
    return run("definitions", "apply", "-", stdin=text)


def test_an_unknown_command_names_the_nearest(run: Run) -> None:
    result = run("improt", "logs.jsonl")

    assert result.exit_code == 2
    assert "There is no command 'improt'. Did you mean 'import'?" in result.stderr


def test_a_wrong_key_says_where_to_get_another(run: Run) -> None:
    result = run("keys", "list", PHOSPHO_API_KEY="ph_wrong")

    assert result.exit_code == 1
    assert "not one of this server. Make another: phospho keys create." in result.stderr


class TestQuery:
    def test_query_writes_the_response_bytes_to_stdout(self, server: FakeServer, run: Run) -> None:
        server.sql_answer = b"PAR1\x00\xff\xfe"

        result = run("query", "SELECT 1", "--format", "parquet")

        assert result.exit_code == 0
        assert result.stdout_bytes == server.sql_answer
        assert server.requests[-1].document == {"query": "SELECT 1", "format": "Parquet"}

    def test_query_asks_for_tsv_with_names_in_a_pipe(self, server: FakeServer, run: Run) -> None:
        run("query", "SELECT 1")

        assert server.requests[-1].document["format"] == "TSVWithNames"

    def test_query_reads_stdin_for_a_dash(self, server: FakeServer, run: Run) -> None:
        run("query", "-", stdin="SELECT 'from stdin'")

        assert server.requests[-1].document["query"] == "SELECT 'from stdin'"

    def test_query_sends_no_empty_query(self, server: FakeServer, run: Run) -> None:
        assert run("query", " ").exit_code == 2
        assert server.requests == []

    def test_query_refuses_an_unknown_format(self, run: Run) -> None:
        result = run("query", "SELECT 1", "--format", "XLS")

        assert result.exit_code == 2
        assert "prettycompact" in result.stderr.lower()

    def test_query_prints_the_servers_error_to_stderr(self, server: FakeServer, run: Run) -> None:
        server.refuse_next(SQL, 400, "There is no column `inptu`.", "Did you mean `input`?")

        result = run("query", "SELECT inptu FROM tasks")

        assert result.exit_code == 1
        assert result.stdout == ""
        assert result.stderr == "Error: There is no column `inptu`.\n  Did you mean `input`?\n"


class TestRetries:
    @pytest.mark.parametrize("status", [429, 502, 503, 504])
    def test_client_retries_a_busy_server(self, server: FakeServer, run: Run, status: int) -> None:
        server.refuse_next(SQL, status, times=2)

        assert run("query", "SELECT 1").exit_code == 0
        assert len(server.of(SQL)) == 3

    def test_client_ends_its_retries_with_the_servers_error(self, server: FakeServer, run: Run) -> None:
        server.refuse_next(SQL, 503, "ClickHouse is away.", times=10)

        result = run("query", "SELECT 1")

        assert result.exit_code == 1
        assert "ClickHouse is away." in result.stderr
        assert len(server.of(SQL)) == 4

    def test_client_retries_a_lost_response(self, server: FakeServer, run: Run) -> None:
        server.hang_up_next(SQL)

        assert run("query", "SELECT 1").exit_code == 0

    def test_client_does_not_retry_what_is_not_repeatable(self, server: FakeServer, run: Run) -> None:
        server.hang_up_next("/api/v1/keys")

        result = run("keys", "create")

        assert result.exit_code == 3
        assert "the request may have been carried out" in result.stderr
        assert len(server.of("/api/v1/keys")) == 1

    def test_client_exits_with_3_and_a_hint_without_a_server(self, run: Run, closed_url: str) -> None:
        result = run("query", "SELECT 1", PHOSPHO_BASE_URL=closed_url)

        assert result.exit_code == 3
        assert f"No server answers at {closed_url}" in result.stderr
        assert "`phospho up`" in result.stderr

    def test_client_names_a_server_that_is_not_phospho(self, server: FakeServer, run: Run) -> None:
        server.answer_next("/api/v1/projects", 404, b"<html>nginx</html>")

        result = run("projects", "list")

        assert result.exit_code == 1
        assert "answered HTTP 404, but it is not a phospho server" in result.stderr

    def test_client_names_the_option_and_variable_of_a_missing_key(self, run: Run) -> None:
        result = run("projects", "list", PHOSPHO_API_KEY=None)

        assert result.exit_code == 1
        assert "PHOSPHO_API_KEY" in result.stderr


class TestDefinitions:
    def test_definitions_apply_prints_each_result(self, server: FakeServer, run: Run, tmp_path: Path) -> None:
        (tmp_path / "events.yaml").write_text(YAML)

        result = run("definitions", "apply", "events.yaml")

        assert result.exit_code == 0, result.output
        assert "refund\t1\tcreated" in result.stdout
        assert server.definitions["angry"] == {
            "name": "angry",
            "description": "The user is angry",
            "threshold": 0.4,
        }
        assert server.definitions["order"]["pattern"] == "ORD-[0-9]+"

    def test_definitions_apply_changes_nothing_the_second_time(self, run: Run) -> None:
        applied(run, YAML)

        assert applied(run, YAML).stdout.count("unchanged") == 3

    @pytest.mark.parametrize(
        ("yaml", "message"),
        [
            ("definitions: [", "It is not YAML"),
            ("events: []", "There is no list under `definitions:`"),
            ("- name: x", "There is no list under `definitions:`"),
            ("definitions: [refund]", "definition 1: it must be a mapping"),
            ("definitions: [{engine: keyword}]", "definition 1, name: it is missing"),
            (
                "definitions: [{name: x, engine: magic}]",
                "engine: 'magic' is none of 'keyword', 'regex'",
            ),
            ("definitions: [{name: x, engine: keyword}]", "definition 1 (x): the keyword engine needs `keywords`"),
            ("definitions: [{name: x, engine: regex}]", "definition 1 (x): the regex engine needs `pattern`"),
            ("definitions: [{name: x}]", "definition 1 (x): the semantic engine needs `description`"),
            ("definitions: [{name: x, description: d, treshold: 1}]", "no such field. Did you mean 'threshold'?"),
            ("definitions: [{name: x, engine: keyword, keywords: a}]", "keywords: it must be a list, such as ['a']"),
            ("definitions: [{name: x, description: d, is_last_task: 3}]", "it must be true or false, not 3"),
            ("definitions:\n - name: a\n  b: 1", "line 3, column 3: did not find expected"),
            (
                "definitions: [{name: x, description: d, threshold: 2}]",
                "2 is more than 1.0, the most that is",
            ),
            ("definitions: [{name: x, engine: keyword, keywords: [911]}]", "keywords.0: it must be text; put 911 in"),
            ("definitions: [{name: x, description: d}, {name: x, description: d}]", "the name 'x' is given twice"),
        ],
    )
    def test_definitions_apply_names_item_and_field_of_a_fault(
        self, server: FakeServer, run: Run, yaml: str, message: str
    ) -> None:
        result = applied(run, yaml)

        assert result.exit_code == 2
        assert message in result.stderr
        assert "nothing was applied" in result.stderr
        assert server.requests == []

    def test_definitions_apply_names_the_file_of_a_fault(self, run: Run, tmp_path: Path) -> None:
        (tmp_path / "events.yaml").write_text("definitions: [")

        assert "events.yaml: nothing was applied" in run("definitions", "apply", "events.yaml").stderr

    def test_definitions_apply_says_how_to_run_them_on_existing_tasks(self, run: Run) -> None:
        assert "phospho backfill --definition refund\n" in applied(run, YAML).stderr
        assert "backfill" not in applied(run, YAML).stderr

    def test_definitions_apply_backfills_what_changed(self, server: FakeServer, run: Run) -> None:
        state = {"backfill_id": "b", "name": "refund", "definition_version": 1, "tasks_done": 7, "events_found": 2}
        server.backfill.extend([state | {"status": "done", "detail": ""}] * 3)

        result = run("definitions", "apply", "-", "--backfill", stdin=YAML)

        assert [request.document["definition"] for request in server.of("/api/v1/backfills")] == [
            "refund", "order", "angry",
        ]  # fmt: skip
        assert result.stdout.count("7 tasks read, 2 events found") == 3

    def test_definitions_apply_prints_all_faults_at_once(self, run: Run) -> None:
        result = applied(run, "definitions: [{name: a, engine: x}, {name: b, scope: y}, 3]")

        assert [f"definition {number}" in result.stderr for number in (1, 2, 3)] == [True] * 3

    def test_definitions_apply_exits_with_1_for_a_rejected_one(self, server: FakeServer, run: Run) -> None:
        bad = "definitions: [{name: open, engine: regex, pattern: '('}]"

        result = applied(run, bad)

        assert result.exit_code == 1
        assert "open\t\trejected\tmissing ): ( Close it." in result.stdout

    def test_definitions_apply_counts_too_many_keywords(self, run: Run) -> None:
        keywords = ", ".join(f"word{number}" for number in range(1001))

        result = applied(run, f"definitions: [{{name: big, engine: keyword, keywords: [{keywords}]}}]")

        assert "definition 1 (big), keywords: at most 1000 are allowed, not 1001" in result.stderr

    def test_definitions_apply_sends_a_large_file_in_parts(self, server: FakeServer, run: Run) -> None:
        keywords = ", ".join("x" * 100 for _ in range(900))
        items = ", ".join(f"{{name: n{number}, engine: keyword, keywords: [{keywords}]}}" for number in range(12))

        result = applied(run, f"definitions: [{items}]")

        assert result.exit_code == 0
        assert len(server.definitions) == 12
        assert [f"n{number}\t1\tcreated" in result.stdout for number in range(12)] == [True] * 12
        assert len(server.requests) == 2

    def test_definitions_delete_takes_several_names_of_any_kind(self, server: FakeServer, run: Run) -> None:
        server.definitions |= {name: {"name": name} for name in ("..", "a/b", "c")}

        result = run("definitions", "delete", "..", "a/b", "c")

        assert (result.exit_code, result.stdout) == (0, ".., a/b, c are deleted.\n")
        assert server.definitions == {}
        assert len(server.requests) == 1

    def test_definitions_list_and_delete(self, server: FakeServer, run: Run) -> None:
        applied(run, YAML)

        assert "refund, money back" in run("definitions", "list").stdout
        assert run("definitions", "delete", "refund").exit_code == 0
        assert "refund" not in server.definitions
        assert run("definitions", "delete", "refund").exit_code == 1


class TestKeysAndProjects:
    def test_keys_create_prints_only_the_key_to_stdout(self, run: Run) -> None:
        result = run("keys", "create", "--name", "staging")

        assert result.stdout == "ph_secret-shown-once\n"
        assert "key_0 of project shop" in result.stderr

    def test_keys_list_shows_no_secrets(self, run: Run) -> None:
        run("keys", "create", "--name", "staging")

        result = run("keys", "list")

        assert "key_0\tph_secr\tstaging" in result.stdout
        assert "shown-once" not in result.output

    def test_keys_revoke_sends_the_id(self, server: FakeServer, run: Run) -> None:
        assert run("keys", "revoke", "key/0").exit_code == 0
        assert (server.requests[-1].method, server.requests[-1].path) == ("DELETE", "/api/v1/keys/key%2F0")

    def test_projects_create_and_list(self, server: FakeServer, run: Run) -> None:
        run("projects", "create", "shop", "--name", "The shop", "--retention-days", "90")

        assert server.projects["shop"] == {"project_id": "shop", "name": "The shop", "retention_days": 90}
        assert "shop\tThe shop\t90" in run("projects", "list").stdout

    def test_projects_create_sends_only_given_fields(self, server: FakeServer, run: Run) -> None:
        run("projects", "create", "shop", "--name", "The shop")

        assert "retention_days" not in server.projects["shop"]


class TestHelp:
    def test_projects_settings_help_has_every_setting(self, run: Run) -> None:
        told = run("projects", "settings", "--help").stdout

        assert [name for name in ProjectSettings.model_fields if name not in told] == []

    def test_query_help_has_every_view(self, run: Run) -> None:
        told = run("query", "--help").stdout

        assert [name for name in VIEWS if name not in told] == []

    def test_help_imports_no_command(self) -> None:
        code = (
            "import sys\nfrom phospho_cli import main\n"
            "main(['--help'], standalone_mode=False)\n"
            "heavy = {'httpx', 'rich', 'orjson', 'pydantic', 'yaml', 'chdb', 'numpy', 'confluent_kafka'}\n"
            "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
        )

        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False)

        assert done.returncode == 0, done.stderr

    def test_client_commands_import_no_engine(self) -> None:
        code = (
            "import sys, click\nfrom phospho_cli import main\n"
            f"for name in {CLIENT_COMMANDS}: assert main.get_command(click.Context(main), name)\n"
            "assert not {'chdb', 'numpy', 'confluent_kafka', 'faststream'} & set(sys.modules)"
        )

        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False)

        assert done.returncode == 0, done.stderr

    @pytest.mark.parametrize("name", CLIENT_COMMANDS)
    def test_client_command_help_has_examples(self, run: Run, name: str) -> None:
        result = run(name, "--help")

        assert result.exit_code == 0
        assert f"phospho {name}" in result.stdout.partition("Examples:")[2]

    def test_version_is_printed(self, run: Run) -> None:
        result = run("--version")

        assert result.exit_code == 0
        assert result.stdout.startswith("phospho")

    def test_unknown_command_exits_with_2(self, run: Run) -> None:
        assert run("qurey", "SELECT 1").exit_code == 2
        assert main.name == "phospho"

    def test_phospho_runs_as_a_module(self, server: FakeServer) -> None:
        server.sql_answer = b"n\n1\n"
        command = [sys.executable, "-m", "phospho_cli", "query", "SELECT 1 AS n", "--base-url", server.base_url]

        done = subprocess.run([*command, "--api-key", "ph_test-key"], capture_output=True, timeout=30, check=False)

        assert (done.returncode, done.stdout, done.stderr) == (0, b"n\n1\n", b"")
