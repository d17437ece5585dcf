"""The ledger balances for any order, split, duplication and death between steps, and names the hour of a loss."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from phospho_gateway.intake.receipts import Item
from phospho_schemas.topics import Keyed
from phospho_store.ledger.hours import HOUR_MS
from phospho_store.sql.ledger import OUTCOMES
from phospho_workers.runtime.records import Record
from workers.jobs.ledger.ledger_world import LedgerWorld, MakeWorld

TASK_NAMES = st.sampled_from(["a", "b", "c", "d/e"])


@dataclass
class Request:
    """A request of a client, and its hour."""

    logs: list[str]
    feedback: list[str]
    rejected: int
    is_poisoned: bool
    hour: int


REQUESTS = st.lists(
    st.builds(
        Request,
        logs=st.lists(TASK_NAMES, max_size=4),
        feedback=st.lists(TASK_NAMES, max_size=1),
        rejected=st.integers(0, 2),
        is_poisoned=st.booleans(),
        hour=st.integers(0, 1),
    ),
    min_size=1,
    max_size=4,
)


@dataclass
class Sent:
    """Everything that was sent, by hour."""

    records: list[Record] = field(default_factory=list)
    receipts: list[Keyed] = field(default_factory=list)
    items: list[tuple[int, Item, bool]] = field(default_factory=list)
    rejected: Counter[int] = field(default_factory=Counter)


def send(world: LedgerWorld, requests: list[Request]) -> Sent:
    sent = Sent()
    start_ms = world.now_ms
    for request in sorted(requests, key=lambda request: request.hour):
        world.now_ms = max(world.now_ms, start_ms + request.hour * HOUR_MS) + 10
        records, receipts, items = world.request(
            request.logs, feedback=request.feedback, rejected=request.rejected, is_poisoned=request.is_poisoned
        )
        hour = world.now_ms // HOUR_MS
        sent.records += records
        sent.receipts += receipts
        sent.items += [(hour, item, request.is_poisoned) for item in items]
        sent.rejected[hour] += request.rejected
    world.now_ms += 1_000
    return sent


def deliver_in_disorder(world: LedgerWorld, sent: Sent, chance: random.Random) -> None:
    """Deliver everything at least once: shuffled, split, some of it twice, and with deaths between the inserts."""
    records = [*sent.records, *(record for record in sent.records if chance.random() < 0.3)]
    chance.shuffle(records)
    while records:
        size = chance.randint(1, len(records))
        batch, records = records[:size], records[size:]
        if chance.random() < 0.4:
            world.deliver(batch, topics=chance.randint(0, 3))
        world.deliver(batch)
    receipts = [*sent.receipts, *(receipt for receipt in sent.receipts if chance.random() < 0.3)]
    chance.shuffle(receipts)
    for receipt in receipts:
        world.deliver_receipts([receipt])


def treat_letters(world: LedgerWorld, chance: random.Random) -> dict[tuple[str, int], str]:
    """Leave, drop or mend each dead letter; return what was done with each log."""
    done = {}
    for letter in world.letters():
        action = chance.choice(["", "dropped", "replayed"])
        if action == "dropped":
            world.act(letter, action)
        elif action == "replayed":
            world.replay_mended(letter)
        done[f"{letter['item_kind']} {letter['item_id']}", letter["item_revision"]] = action
    return done


def expected(sent: Sent, done: dict[tuple[str, int], str]) -> dict[int, Counter[str]]:
    """Return the counts of each hour, by what was sent and done alone."""
    last: Counter[str] = Counter()
    for _, item, is_poisoned in sent.items:
        name = f"{item.kind} {item.id}"
        if not is_poisoned:
            last[name] = max(last[name], item.revision)
        elif done[name, item.revision] == "replayed":
            last[name] = 2**64
    counts: dict[int, Counter[str]] = {}
    for hour, item, is_poisoned in sent.items:
        name = f"{item.kind} {item.id}"
        action = done[name, item.revision] if is_poisoned else ""
        counts.setdefault(hour, Counter())[_outcome(item, last[name], action)] += 1
    return counts


def _outcome(item: Item, last_revision: int, action: str) -> str:
    if last_revision >= item.revision and action == "replayed":
        return "replayed"
    if last_revision >= item.revision:
        return "stored" if last_revision == item.revision else "already_known"
    return "dropped" if action == "dropped" else "dead_lettered"


def counted(world: LedgerWorld) -> dict[int, Counter[str]]:
    found = {}
    for number, hour in world.hours().items():
        found[number] = Counter({name: getattr(hour, name) for name in OUTCOMES})
        assert hour.accepted == found[number].total()
        assert hour.received == hour.accepted + sum(hour.rejected.values())
        assert hour.is_balanced == (hour.unbalanced_since is None) == (not hour.missing_ids)
    return found


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(requests=REQUESTS, seed=st.integers(0, 2**32))
def test_ledger_balances_for_any_order_split_duplication_and_death(
    make_world: MakeWorld, requests: list[Request], seed: int
) -> None:
    world, chance = make_world(), random.Random(seed)
    sent = send(world, requests)
    deliver_in_disorder(world, sent, chance)
    done = treat_letters(world, chance)

    assert {hour: +counts for hour, counts in counted(world).items() if +counts} == expected(sent, done)

    # A replay of both topics changes no number.
    before = {number: hour.model_dump(exclude={"revision", "checked_at"}) for number, hour in world.hours().items()}
    world.now_ms += 1_000
    deliver_in_disorder(world, sent, chance)
    again = {number: hour.model_dump(exclude={"revision", "checked_at"}) for number, hour in world.hours().items()}
    assert again == before
    for hour, rejected in sent.rejected.items():
        assert not rejected or sum(world.hour(hour * HOUR_MS).rejected.values()) == rejected


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(requests=REQUESTS, seed=st.integers(0, 2**32))
def test_ledger_names_the_hours_of_a_lost_row(make_world: MakeWorld, requests: list[Request], seed: int) -> None:
    world, chance = make_world(), random.Random(seed)
    sent = send(world, [request for request in requests if not request.is_poisoned])
    tasks = sorted({item.id for _, item, _ in sent.items if item.kind == "task"})
    deliver_in_disorder(world, sent, chance)
    if not tasks:
        return
    lost = chance.choice(tasks)
    world.store.command(
        "DELETE FROM task_rows WHERE project_id = {project:String} AND task_id = {task:String}",
        {"project": world.project_id, "task": lost},
    )

    unbalanced = {number: set(hour.missing_ids) for number, hour in world.hours().items() if not hour.is_balanced}

    hours = {hour for hour, item, _ in sent.items if (item.kind, item.id) == ("task", lost)}
    assert unbalanced == {hour: {lost} for hour in hours}
