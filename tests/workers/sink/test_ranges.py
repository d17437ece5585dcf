"""Ranges and groups: what is inserted together, and how what a predecessor began is found again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phospho_workers.runtime.records import Record
from phospho_workers.sink.ranges import Begun, Group, Place, RangePlanner, UnknownIntent, parse_intent

TOPIC = "phospho.tasks"


def record(offset: int, partition: int = 0, topic: str = TOPIC, value: bytes = b"{}") -> Record:
    return Record(topic, partition, offset, 0, b"", value)


def groups(planner: RangePlanner, *records: Record) -> list[Group]:
    planner.add(records)
    return [group for wave in planner.waves() for group in wave]


def bounds(group: Group) -> list[tuple[int, int, int]]:
    return [(planned.place[1], planned.lo, planned.hi) for planned in group.ranges]


def begun_by(group: Group) -> dict[Place, Begun | None]:
    """Return what a successor finds that gets every partition of a group."""
    return {place: parse_intent(metadata) for place, _, metadata in group.intents()}


def test_a_batch_is_one_group_a_topic_with_a_range_a_partition() -> None:
    other = record(9, topic="phospho.feedback")

    found = groups(RangePlanner(), record(5), record(6), record(2, partition=1), other, record(7))

    assert {group.topic: bounds(group) for group in found} == {
        TOPIC: [(0, 5, 7), (1, 2, 2)],
        "phospho.feedback": [(0, 9, 9)],
    }


def test_an_intent_is_read_back_as_it_was_written() -> None:
    (group,) = groups(RangePlanner(), record(17), record(42), record(3, partition=1))

    assert [(place, offset) for place, offset, _ in group.intents()] == [((TOPIC, 0), 17), ((TOPIC, 1), 3)]
    begun = begun_by(group)
    assert [found.hi for found in begun.values() if found] == [42, 3]
    assert {found.size for found in begun.values() if found} == {2}
    assert parse_intent("") is None


@pytest.mark.parametrize("metadata", ["another-sink 1 2", "phospho-intent-1", "phospho-intent-1 x y z", "1"])
def test_an_intent_of_another_kind_stops_the_sink(metadata: str) -> None:
    with pytest.raises(UnknownIntent, match="unknown kind"):
        parse_intent(metadata)


@given(
    first=st.lists(st.integers(0, 2), min_size=1, max_size=30),
    later=st.lists(st.integers(0, 2), max_size=30),
    cuts=st.lists(st.integers(1, 7), min_size=1, max_size=60),
)
def test_what_was_begun_is_inserted_again_as_it_was_however_the_batches_are_cut(
    first: list[int], later: list[int], cuts: list[int]
) -> None:
    """`first` and `later` are the partitions of records as they come; the predecessor died with `first` in hand."""
    offsets = {0: 0, 1: 0, 2: 0}
    log = []
    for partition in first + later:
        log.append(record(offsets[partition], partition))
        offsets[partition] += 1
    (died_with,) = groups(RangePlanner(), *log[: len(first)])
    successor = RangePlanner()
    successor.assign({(TOPIC, partition): None for partition in offsets} | begun_by(died_with))

    found: list[Group] = []
    rest = log
    for size in cuts * len(log):
        found += groups(successor, *rest[:size])
        rest = rest[size:]

    again = [group for group in found if group.name == died_with.name]
    assert [bounds(group) for group in again] == [bounds(died_with)]
    assert [r for group in again for r in group.records] == died_with.records
    for partition in offsets:
        seen = [r.offset for group in found for r in group.records if r.partition == partition]
        assert seen == list(range(offsets[partition]))


def test_a_partition_whose_group_is_not_complete_waits_and_the_others_go_on() -> None:
    (died_with,) = groups(RangePlanner(), record(0), record(0, partition=1))
    successor = RangePlanner()
    successor.assign(begun_by(died_with) | {(TOPIC, 2): None})

    first = groups(successor, record(0), record(1), record(0, partition=2))
    second = groups(successor, record(0, partition=1))

    assert [bounds(group) for group in first] == [[(2, 0, 0)]]
    assert [bounds(group) for group in second] == [[(0, 0, 0), (1, 0, 0)], [(0, 1, 1)]]


def test_a_group_whose_partitions_went_apart_is_inserted_range_by_range() -> None:
    (died_with,) = groups(RangePlanner(), record(0), record(1), record(0, partition=1))
    successor = RangePlanner()
    successor.assign({(TOPIC, 0): begun_by(died_with)[TOPIC, 0]})

    assert [bounds(group) for group in groups(successor, record(0), record(1), record(2))] == [[(0, 0, 1)], [(0, 2, 2)]]


def test_a_gap_at_the_end_of_a_begun_range_does_not_hold_it_back() -> None:
    planner = RangePlanner()
    planner.assign({(TOPIC, 0): Begun(3, "g", 1)})

    assert [bounds(group) for group in groups(planner, record(1), record(2), record(5))] == [[(0, 1, 3)], [(0, 5, 5)]]


def test_a_revoked_partition_leaves_nothing_behind() -> None:
    planner = RangePlanner()
    planner.assign({(TOPIC, 0): Begun(9, "g", 1)})
    assert groups(planner, record(0)) == []

    planner.revoke((TOPIC, 0))

    assert [bounds(group) for group in groups(planner, record(4))] == [[(0, 4, 4)]]


@given(sizes=st.lists(st.integers(1, 40), min_size=1, max_size=60), max_bytes=st.integers(1, 100))
def test_groups_are_bounded_in_bytes_and_lose_no_record(sizes: list[int], max_bytes: int) -> None:
    planner = RangePlanner(max_bytes)
    offsets = {0: 0, 1: 0, 2: 0}
    log = []
    for size in sizes:
        partition = size % 3
        log.append(record(offsets[partition], partition, value=b"x" * size))
        offsets[partition] += 1

    found = groups(planner, *log)

    for group in found:
        assert len(group.records) == 1 or sum(len(r.value) + 1 for r in group.records) <= max_bytes
    for partition, end in offsets.items():
        assert [r.offset for group in found for r in group.records if r.partition == partition] == list(range(end))


def test_planner_holds_a_bounded_number_of_bytes_for_a_group() -> None:
    """What a predecessor began and nobody completes does not fill the memory."""
    planner = RangePlanner()
    planner.assign({(TOPIC, 0): Begun(999, "g", 1), (TOPIC, 1): Begun(0, "h", 2), (TOPIC, 2): Begun(0, "h", 2)})
    large = b"x" * 30_000_000

    assert groups(planner, *(record(offset, 1, value=large) for offset in range(2))) == []
    found = groups(planner, *(record(offset, 1, value=large) for offset in range(2, 10)))

    assert sum(len(group.records) for group in found) == 10
