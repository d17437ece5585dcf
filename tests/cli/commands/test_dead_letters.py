"""`phospho dead-letters` against the dashboard's own app, on a real port, over a store and the real pipeline."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import click.testing
import orjson
import pytest

from fixtures.served import served
from phospho_cli import main
from phospho_cli.processes.embedded.pipeline import Pipeline
from phospho_cli.processes.web import build_integrations
from phospho_dashboard.app import create_app
from phospho_dashboard.services import create_services
from phospho_dashboard.settings import DashboardSettings
from phospho_schemas.ids import HybridClock
from phospho_store.registry.authentication import Authenticator
from phospho_store.registry.registry import Registry
from phospho_store.store import Store
from phospho_workers.detection.definitions import Snapshot
from phospho_workers.detection.stage import Detection
from phospho_workers.extraction.stage import Extraction
from phospho_workers.jobs.settings import JobSettings
from phospho_workers.runtime.dead_letters import dead_letter
from phospho_workers.runtime.records import Record, Rejected

ADMIN = "administrator-of-the-tests"
BYTES = b'{"broken\xff'
LOG = {"project_id": "shop", "input": "I want a refund", "flag": "maybe"}

Run = Callable[..., click.testing.Result]


@pytest.fixture(scope="module")
def base_url(store: Store) -> Iterator[str]:
    """The address of the dashboard's app, served by uvicorn."""
    registry, clock = Registry(store), HybridClock()
    for project_id in ("shop", "victim"):
        registry.save_project(project_id)
        registry.create_key(project_id, secret=f"ph_key-of-{project_id}")
    pipeline = Pipeline(Extraction(), Detection(Snapshot), store, clock)
    pipeline.start()
    authenticator = Authenticator(registry, admin_secret=ADMIN)
    integrations = build_integrations(store, clock, JobSettings())
    services = create_services(DashboardSettings(), store, registry, authenticator, publisher=pipeline)
    with served(create_app(services, integrations)) as address:
        yield address
    pipeline.close()


@pytest.fixture
def run(base_url: str) -> Run:
    """Run `phospho dead-letters …` with the key of `shop`, or another."""

    def run_command(*arguments: str, key: str = "ph_key-of-shop") -> click.testing.Result:
        env = {"PHOSPHO_BASE_URL": base_url, "PHOSPHO_API_KEY": key}
        if key == ADMIN:
            env["PHOSPHO_PROJECT_ID"] = "shop"
        return click.testing.CliRunner().invoke(main, ["dead-letters", *arguments], env=env, prog_name="phospho")

    return run_command


@pytest.fixture
def failed(store: Store) -> Callable[..., str]:
    """Return a function that stores what a stage made of a record it could not read, and returns the letter's id."""

    def fail(value: bytes, offset: int, project_id: str = "shop") -> str:
        record = Record("phospho.raw-logs", 3, offset, 1_767_226_784_123, b"k", value)
        row = dead_letter(record, "extraction", Rejected("invalid_json", "tab\there"), project_id).value
        store.insert("dead_letter_rows", row)
        return str(orjson.loads(row)["dead_letter_id"])

    return fail


def tasks(store: Store, project_id: str) -> list[str]:
    rows = store.rows("SELECT task_id FROM tasks WHERE project_id = {project:String}", {"project": project_id})
    return [row["task_id"] for row in rows]


def mended(folder: Path, **changes: object) -> str:
    path = folder / "mended.json"
    path.write_bytes(orjson.dumps(LOG | {"flag": "success"} | changes))
    return str(path)


def test_dead_letters_list_is_a_line_each_latest_first(run: Run, failed: Callable[..., str]) -> None:
    letter = failed(BYTES, 17)

    result = run("list", "--limit", "500")

    assert result.exit_code == 0, result.output
    line = next(line for line in result.stdout.splitlines() if line.startswith(letter))
    place = ["2026-01-01T00:19:44.123Z", "extraction", "invalid_json", "waiting", "phospho.raw-logs", "3", "17"]
    assert line.split("\t")[1:] == [*place, "tab\\there"]


def test_dead_letters_show_prints_the_payload_byte_for_byte(run: Run, failed: Callable[..., str]) -> None:
    letter = failed(BYTES, 18)

    assert run("show", letter, "--payload").stdout_bytes == BYTES
    shown = run("show", letter).stdout_bytes
    assert b"reason: invalid_json\n" in shown
    assert shown.endswith(b"\n\n" + BYTES)


def test_dead_letters_show_one_without_project_to_an_administrator(run: Run, failed: Callable[..., str]) -> None:
    letter = failed(BYTES, 19, "")

    assert letter in run("list", key=ADMIN).stdout
    assert run("show", letter, "--payload", key=ADMIN).stdout_bytes == BYTES
    refused = run("show", letter)
    assert refused.exit_code == 1
    assert "phospho dead-letters list" in refused.stderr


@pytest.mark.parametrize("dead_letter_id", ["absent", "x' OR '1'='1", "a/b", "é?x=1"])
def test_dead_letters_refuse_an_unknown_id(run: Run, dead_letter_id: str) -> None:
    for command in ("show", "replay"):
        assert run(command, dead_letter_id).exit_code == 1


def test_dead_letters_replayed_twice_after_an_edit_are_one_task(
    run: Run, failed: Callable[..., str], store: Store, tmp_path: Path
) -> None:
    letter = failed(orjson.dumps(LOG), 20)
    before = tasks(store, "shop")

    results = [run("replay", letter, "--payload-file", mended(tmp_path)) for _ in range(2)]

    assert [result.exit_code for result in results] == [0, 0], results[0].output
    new = [task_id for task_id in tasks(store, "shop") if task_id not in before]
    assert len(new) == 1
    assert results[0].stdout == f"{letter} was sent to phospho.raw-logs again, as task {new[0]}.\n"
    assert letter in run("list", "--limit", "500").stdout


def test_dead_letters_replayed_unchanged_are_one_task(run: Run, failed: Callable[..., str], store: Store) -> None:
    letter = failed(orjson.dumps(LOG | {"flag": "failure"}), 21)
    before = tasks(store, "shop")

    assert [run("replay", letter).exit_code for _ in range(2)] == [0, 0]
    assert len(tasks(store, "shop")) == len(before) + 1


def test_dead_letters_replay_logs_nothing_in_another_project(
    run: Run, failed: Callable[..., str], store: Store, tmp_path: Path
) -> None:
    letter = failed(orjson.dumps(LOG), 22)

    result = run("replay", letter, "--payload-file", mended(tmp_path, project_id="victim", revision=2**64 - 1))

    assert result.exit_code == 1
    assert "another project" in result.stderr
    assert tasks(store, "victim") == []


def test_dead_letters_replay_needs_an_edited_payload_in_utf8(
    run: Run, failed: Callable[..., str], tmp_path: Path
) -> None:
    (tmp_path / "bytes").write_bytes(BYTES)

    assert run("replay", failed(BYTES, 23), "--payload-file", str(tmp_path / "bytes")).exit_code == 2


def test_dead_letters_are_edited_replayed_and_dropped_by_reason(
    run: Run, failed: Callable[..., str], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    edited = failed(orjson.dumps(LOG | {"task_id": "edited", "revision": 5}), 101)
    monkeypatch.setattr("click.edit", lambda text, extension: text.replace("maybe", "success"))

    assert run("edit", edited).exit_code == 0
    assert tasks(store, "shop").count("edited") == 1
    monkeypatch.setattr("click.edit", lambda text, extension: None)
    assert "Nothing was changed" in run("edit", edited).stderr

    whole = failed(orjson.dumps(LOG | {"task_id": "bulk", "flag": "success", "revision": 5}), 102)
    broken = failed(BYTES, 103)
    replayed = run("replay", "--where", "reason=invalid_json", "--where", "stage=extraction")
    assert replayed.exit_code == 1
    assert f"{broken}: the message is not JSON" in replayed.stderr
    assert "bulk" in tasks(store, "shop")
    assert "were dropped." in run("drop", "--where", "reason=invalid_json").stdout
    statuses = dict(line.split("\t")[::4][:2] for line in run("list", "--limit", "500").stdout.splitlines()[1:])
    assert (statuses[edited], statuses[whole], statuses[broken]) == ("replayed", "replayed", "dropped")
    assert "invalid_json" in run("counts").stdout


@pytest.mark.parametrize(
    "arguments", [["drop"], ["replay"], ["drop", "--where", "colour=red"], ["list", "--since", "x"]]
)
def test_dead_letters_refuse_an_unclear_selection(run: Run, arguments: list[str]) -> None:
    assert run(*arguments).exit_code == 2
