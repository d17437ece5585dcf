"""The job `ledger`: which hours it looks at, and what it says of them."""

from __future__ import annotations

import logging
from datetime import UTC, datetime

import orjson
import pytest

from phospho_schemas.ids import derived_uuid
from phospho_schemas.rows.ledger import LedgerHour
from phospho_store.errors import StatementRefused
from phospho_store.forgetting.forget import Forgetting
from phospho_store.forgetting.tombstones import Tombstones
from phospho_store.ledger.deletions import record_deletions
from phospho_store.ledger.hours import HOUR_MS, HourKey, Ledger
from phospho_store.ledger.receipts import Receipts
from phospho_store.sql.ledger import OUTCOMES
from phospho_workers.extraction.stage import Extraction
from phospho_workers.jobs.ledger.ledger_job import LedgerJob
from phospho_workers.runtime.records import Record
from workers.jobs.ledger.ledger_world import LedgerWorld, MakeWorld

EPOCH = datetime(2020, 1, 1, tzinfo=UTC)


def run(world: LedgerWorld, job: LedgerJob) -> dict[int, int]:
    """Do steps until none is left, and return the missing logs of each stored hour of the project."""
    while job.step():
        pass
    rows = world.store.rows(
        "SELECT toUnixTimestamp64Milli(hour) AS hour_ms, missing FROM ledger_rows FINAL"
        " WHERE project_id = {project:String}",
        {"project": world.project_id},
    )
    return {row["hour_ms"]: row["missing"] for row in rows}


def delete(world: LedgerWorld, task_id: str) -> None:
    world.store.command(
        "DELETE FROM task_rows WHERE project_id = {project:String} AND task_id = {task:String}",
        {"project": world.project_id, "task": task_id},
    )


def test_job_names_project_and_hour_of_a_lost_log(world: LedgerWorld, caplog: pytest.LogCaptureFixture) -> None:
    hour_ms = world.now_ms // HOUR_MS * HOUR_MS
    records, receipts, _ = world.request(["kept", "lost"])
    world.deliver(records[:1])
    world.deliver_receipts(receipts)

    with caplog.at_level(logging.ERROR):
        assert run(world, LedgerJob(world.ledger, grace_s=0)) == {hour_ms: 1}

    [said] = [record.getMessage() for record in caplog.records if world.project_id in record.getMessage()]
    assert "1 of 2 accepted logs are missing, such as lost" in said


def test_job_waits_for_the_grace_time(world: LedgerWorld) -> None:
    _, receipts, _ = world.request(["late"])
    world.deliver_receipts(receipts)

    assert list(run(world, LedgerJob(world.ledger, grace_s=1e6)).values()) == [0]
    assert [hour.pending for hour in world.hours(grace_ms=10**9).values()] == [1]


def test_hour_balances_again_when_the_log_arrives(world: LedgerWorld) -> None:
    records, receipts, _ = world.request(["late"])
    world.deliver_receipts(receipts)
    job = LedgerJob(world.ledger, grace_s=0)
    assert list(run(world, job).values()) == [1]

    world.deliver(records)

    assert list(run(world, job).values()) == [0]
    assert all(hour.unbalanced_since is None for hour in world.hours().values())


def test_new_job_continues_where_the_last_one_stopped(world: LedgerWorld) -> None:
    """A row that is dropped from a checked hour, with no job running, is found by the next one."""
    records, receipts, _ = world.request(["dropped"])
    world.deliver(records)
    world.deliver_receipts(receipts)
    assert list(run(world, LedgerJob(world.ledger, grace_s=0)).values()) == [0]

    delete(world, "dropped")

    assert list(run(world, LedgerJob(world.ledger, grace_s=0)).values()) == [1]


def test_deleted_logs_are_no_lost_ones(world: LedgerWorld) -> None:
    records, receipts, _ = world.request(["old"], feedback=["old"])
    world.deliver(records)
    world.deliver_receipts(receipts)
    for table in ("task_rows", "feedback_rows"):
        record_deletions(world.store, table, "task_id = 'old'", {"project": world.project_id})
    delete(world, "old")

    [hour] = world.hours().values()

    assert (hour.deleted, hour.stored, hour.missing) == (1, 1, 0)


def test_deletion_covers_no_later_log_of_the_task(world: LedgerWorld) -> None:
    records, receipts, _ = world.request(["again"])
    world.deliver(records)
    record_deletions(world.store, "task_rows", "task_id = 'again'", {"project": world.project_id})
    delete(world, "again")
    _, later, _ = world.request(["again"])
    world.deliver_receipts([*receipts, *later])

    [hour] = world.hours().values()

    assert (hour.deleted, hour.missing) == (1, 1)


def test_hour_of_many_logs_is_computed_in_slices(world: LedgerWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("phospho_store.ledger.hours.MAX_ITEMS", 2)
    for number in range(5):
        records, receipts, _ = world.request([f"t{number}"])
        world.now_ms += 7 * 60_000
        world.deliver(records)
        world.deliver_receipts(receipts)

    [hour] = world.hours().values()

    assert (hour.accepted, hour.stored) == (5, 5)


def test_tasks_past_the_gateway_are_counted_apart(world: LedgerWorld) -> None:
    records, _, _ = world.request(["from-kafka"])
    world.deliver(records)

    [hour] = world.hours().values()

    assert (hour.accepted, hour.without_receipt) == (0, 1)


def test_forgotten_logs_are_no_lost_ones(world: LedgerWorld) -> None:
    records, receipts, _ = world.request(["kept", "forgotten"], feedback=["forgotten"])
    world.deliver(records)
    world.deliver_receipts(receipts)

    Forgetting(world.store, world.clock).forget(world.project_id, "task", "forgotten")

    [hour] = world.hours().values()
    assert (hour.deleted, hour.stored, hour.missing) == (2, 1, 0)


def test_job_reconciles_the_projects_that_it_holds(world: LedgerWorld) -> None:
    _, receipts, _ = world.request(["a"])
    world.deliver_receipts(receipts)

    assert run(world, LedgerJob(world.ledger, grace_s=0, holds=lambda project_id: False)) == {}
    assert len(run(world, LedgerJob(world.ledger, grace_s=0))) == 1


def test_logs_forgotten_on_their_way_are_no_lost_ones(world: LedgerWorld) -> None:
    """The sink doesn't store what it finds forgotten."""
    records, receipts, _ = world.request(["on-its-way"], feedback=["on-its-way"])
    world.deliver_receipts(receipts)
    Forgetting(world.store, world.clock).forget(world.project_id, "task", "on-its-way")
    messages = Extraction()(records).messages
    tombstones = Tombstones(world.store)
    tombstones.refresh()

    tombstones.extend(orjson.loads(message.value) for lines in messages.values() for message in lines)

    [hour] = world.hours().values()
    assert (hour.deleted, hour.missing) == (2, 0)


def test_hour_that_fails_stops_no_other(make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    failing, other = make_world(), make_world()
    reconcile = Ledger.reconcile

    def fail_in_one(ledger: Ledger, key: HourKey, now_ms: int, grace_ms: int) -> LedgerHour:
        if key.project_id == failing.project_id:
            raise StatementRefused("too much memory", 241)
        return reconcile(ledger, key, now_ms, grace_ms)

    monkeypatch.setattr(Ledger, "reconcile", fail_in_one)
    job = LedgerJob(other.ledger, grace_s=0, holds={failing.project_id, other.project_id}.__contains__)
    for world in (failing, other):
        _, receipts, _ = world.request(["a"])
        world.deliver_receipts(receipts)
    stored = []
    for _ in range(2):
        with pytest.raises(StatementRefused):
            run(other, job)
        stored += [len(other.ledger.hours([world.project_id], EPOCH)) for world in (failing, other)]
        other.now_ms += HOUR_MS
        other.deliver_receipts(other.request(["later"])[1])

    assert stored == [0, 1, 0, 2], "hours that come later are checked too"
    monkeypatch.undo()
    assert len(run(failing, job)) == 1


def test_hour_is_sliced_by_counts_where_logs_come_at_once(world: LedgerWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("phospho_store.ledger.hours.MAX_ITEMS", 2)
    for number in range(6):
        records, receipts, _ = world.request([f"t{number}"])
        world.now_ms += 1
        world.deliver(records)
        world.deliver_receipts(receipts)
    key = HourKey(world.project_id, world.now_ms // HOUR_MS * HOUR_MS)

    slices = list(world.ledger._slices(key))

    assert len(slices) == 3
    assert (slices[0]["start_ms"], slices[-1]["end_ms"]) == (key.hour_ms, key.hour_ms + HOUR_MS)
    assert [hour.stored for hour in world.hours().values()] == [6]


def test_large_log_is_stored_when_all_of_its_parts_are(world: LedgerWorld) -> None:
    records, receipts, [item] = world.request(["large"])
    [head] = [record._replace(value=record.value[:-1] + b',"whole_log_id":"whole"}') for record in records]
    world.deliver([head])
    world.deliver_receipts(receipts)

    def outcome() -> set[str]:
        [hour] = world.hours().values()
        return {name for name in OUTCOMES if getattr(hour, name)}

    def part(number: int, version: int = 1) -> Record:
        stamp = {"schema_version": version, "kind": "part", "project_id": world.project_id, "task_id": item.id}
        stamp |= {"whole_log_id": "whole", "part": number, "parts": 2, "revision": item.revision, "text": "x"}
        at = "2026-11-30T00:00:00.000Z"
        return head._replace(offset=10**6 + number, value=orjson.dumps(stamp | {"received_at": at, "created_at": at}))

    assert outcome() == {"missing"}
    world.deliver([part(0), part(1, version=2)])
    assert outcome() == {"dead_lettered"}
    for letter in world.letters():
        world.act(letter, "replayed")
    world.deliver([part(1)])
    assert outcome() == {"replayed"}


def test_receipt_that_did_not_arrive_is_unknown(world: LedgerWorld) -> None:
    receipts = Receipts(world.store)

    status = receipts.status(world.project_id, derived_uuid(world.store.now_ms(), "nobody sent this"))

    assert status is not None
    assert status["status"] == "unknown"
    assert receipts.status(world.project_id, derived_uuid(0, "nobody sent this")) is None
