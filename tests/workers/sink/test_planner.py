"""Groups, intents and the planner, which repeats the groups of a predecessor."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phospho_workers.runtime.records import Partition, Record
from phospho_workers.sink.planner import GroupPlanner, InsertGroup, Intent, UnknownIntent, parse_intent

TOPIC = "phospho.tasks"


def record(offset: int, partition: int = 0, topic: str = TOPIC, value: bytes = b"{}") -> Record:
    return Record(topic, partition, offset, 0, b"", value)


def groups(planner: GroupPlanner, *records: Record) -> list[InsertGroup]:
    planner.add(records)
    return [group for taken in planner.take_groups() for group in taken]


def bounds(group: InsertGroup) -> list[tuple[int, int, int]]:
    return [(r.partition[1], r.first_offset, r.last_offset) for r in group.ranges]


def intents_of(group: InsertGroup) -> dict[Partition, Intent | None]:
    """Return the intents that a successor on every partition of the group reads."""
    return {partition: parse_intent(intent.metadata) for partition, _, intent in group.intents()}


def test_planner_makes_a_group_per_topic_and_a_range_per_partition() -> None:
    other = record(9, topic="phospho.feedback")

    planned = groups(GroupPlanner(), record(5), record(6), record(2, partition=1), other, record(7))

    assert {group.topic: bounds(group) for group in planned} == {
        TOPIC: [(0, 5, 7), (1, 2, 2)],
        "phospho.feedback": [(0, 9, 9)],
    }


def test_intent_round_trips_through_metadata() -> None:
    (group,) = groups(GroupPlanner(), record(17), record(42), record(3, partition=1))

    assert [(partition, offset) for partition, offset, _ in group.intents()] == [((TOPIC, 0), 17), ((TOPIC, 1), 3)]
    intents = [intent for intent in intents_of(group).values() if intent]
    assert [intent.last_offset for intent in intents] == [42, 3]
    assert {intent.group_size for intent in intents} == {2}
    assert parse_intent("") is None


@pytest.mark.parametrize("metadata", ["another-sink 1 2", "phospho-intent-1", "phospho-intent-1 x y z", "1"])
def test_parse_intent_raises_for_unknown_metadata(metadata: str) -> None:
    with pytest.raises(UnknownIntent, match="unknown kind"):
        parse_intent(metadata)


@given(
    first=st.lists(st.integers(0, 2), min_size=1, max_size=30),
    later=st.lists(st.integers(0, 2), max_size=30),
    cuts=st.lists(st.integers(1, 7), min_size=1, max_size=60),
)
def test_planner_repeats_a_started_group_however_batches_are_cut(
    first: list[int], later: list[int], cuts: list[int]
) -> None:
    """`first` and `later` are the partitions of records in order; the predecessor died while inserting `first`."""
    offsets = {0: 0, 1: 0, 2: 0}
    log = []
    for partition in first + later:
        log.append(record(offsets[partition], partition))
        offsets[partition] += 1
    (started,) = groups(GroupPlanner(), *log[: len(first)])
    successor = GroupPlanner()
    successor.assign({(TOPIC, partition): None for partition in offsets} | intents_of(started))

    planned: list[InsertGroup] = []
    rest = log
    for size in cuts * len(log):
        planned += groups(successor, *rest[:size])
        rest = rest[size:]

    again = [group for group in planned if group.id == started.id]
    assert [bounds(group) for group in again] == [bounds(started)]
    assert [r for group in again for r in group.records] == started.records
    for partition in offsets:
        seen = [r.offset for group in planned for r in group.records if r.partition == partition]
        assert seen == list(range(offsets[partition]))


def test_planner_holds_only_partitions_of_an_incomplete_group() -> None:
    (started,) = groups(GroupPlanner(), record(0), record(0, partition=1))
    successor = GroupPlanner()
    successor.assign(intents_of(started) | {(TOPIC, 2): None})

    first = groups(successor, record(0), record(1), record(0, partition=2))
    second = groups(successor, record(0, partition=1))

    assert [bounds(group) for group in first] == [[(2, 0, 0)]]
    assert [bounds(group) for group in second] == [[(0, 0, 0), (1, 0, 0)], [(0, 1, 1)]]


def test_planner_inserts_a_scattered_group_range_by_range() -> None:
    (started,) = groups(GroupPlanner(), record(0), record(1), record(0, partition=1))
    successor = GroupPlanner()
    successor.assign({(TOPIC, 0): intents_of(started)[TOPIC, 0]})

    assert [bounds(group) for group in groups(successor, record(0), record(1), record(2))] == [[(0, 0, 1)], [(0, 2, 2)]]


def test_planner_repeats_groups_of_two_topics_with_equal_bounds() -> None:
    """Tasks and their analyses often lie at the same offsets. Mixed up, both would be inserted under other tokens."""
    records = [record(5, partition, topic) for topic in (TOPIC, "phospho.analyses") for partition in (0, 1)]
    started = groups(GroupPlanner(), *records)
    successor = GroupPlanner()
    successor.assign({partition: intent for group in started for partition, intent in intents_of(group).items()})

    again = groups(successor, *records)

    assert {group.token_prefix for group in again} == {group.token_prefix for group in started}


def test_planner_completes_a_range_that_ends_in_a_gap() -> None:
    planner = GroupPlanner()
    planner.assign({(TOPIC, 0): Intent(3, "g", 1)})

    assert [bounds(group) for group in groups(planner, record(1), record(2), record(5))] == [[(0, 1, 3)], [(0, 5, 5)]]


def test_planner_forgets_a_revoked_partition() -> None:
    planner = GroupPlanner()
    planner.assign({(TOPIC, 0): Intent(9, "g", 1)})
    assert groups(planner, record(0)) == []

    planner.revoke((TOPIC, 0))

    assert [bounds(group) for group in groups(planner, record(4))] == [[(0, 4, 4)]]


@given(sizes=st.lists(st.integers(1, 40), min_size=1, max_size=60), max_bytes=st.integers(1, 100))
def test_planner_bounds_groups_in_bytes_and_loses_no_record(sizes: list[int], max_bytes: int) -> None:
    planner = GroupPlanner(max_bytes)
    offsets = {0: 0, 1: 0, 2: 0}
    log = []
    for size in sizes:
        partition = size % 3
        log.append(record(offsets[partition], partition, value=b"x" * size))
        offsets[partition] += 1

    planned = groups(planner, *log)

    for group in planned:
        assert len(group.records) == 1 or sum(len(r.value) + 1 for r in group.records) <= max_bytes
    for partition, end in offsets.items():
        assert [r.offset for group in planned for r in group.records if r.partition == partition] == list(range(end))


def test_planner_bounds_the_bytes_that_wait_for_a_group() -> None:
    """A started group that never completes does not fill the memory."""
    planner = GroupPlanner()
    planner.assign({(TOPIC, 0): Intent(999, "g", 1), (TOPIC, 1): Intent(0, "h", 2), (TOPIC, 2): Intent(0, "h", 2)})
    large = b"x" * 30_000_000

    assert groups(planner, *(record(offset, 1, value=large) for offset in range(2))) == []
    planned = groups(planner, *(record(offset, 1, value=large) for offset in range(2, 10)))

    assert sum(len(group.records) for group in planned) == 10
