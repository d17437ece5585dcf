"""Ranges: what is inserted together, and how a range that a predecessor began is found again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phospho_workers.runtime.records import Record
from phospho_workers.sink.ranges import Range, RangePlanner, UnknownIntent, parse_intent

TOPIC = "phospho.tasks"


def record(offset: int, partition: int = 0) -> Record:
    return Record(TOPIC, partition, offset, 0, b"", b"{}")


def test_a_batch_is_one_range_a_partition() -> None:
    ranges = RangePlanner().plan([record(5), record(6), record(2, partition=1), record(7)])

    assert [(r.partition, r.lo, r.hi, len(r.records)) for r in ranges] == [(0, 5, 7, 3), (1, 2, 2, 1)]


def test_an_intent_is_read_back_as_it_was_written() -> None:
    planned = Range(TOPIC, 0, 17, 42, (record(17), record(42)))

    assert parse_intent(planned.intent()) == 42
    assert parse_intent("") is None


def test_an_intent_of_another_version_stops_the_sink() -> None:
    with pytest.raises(UnknownIntent, match="another-sink 1 2"):
        parse_intent("another-sink 1 2")


@given(
    begun_hi=st.integers(0, 30),
    last=st.integers(0, 40),
    cuts=st.lists(st.integers(1, 12), min_size=1, max_size=40),
)
def test_a_begun_range_comes_first_and_whole_however_the_batches_are_cut(
    begun_hi: int, last: int, cuts: list[int]
) -> None:
    planner = RangePlanner()
    planner.assign((TOPIC, 0), begun_hi)
    ranges: list[Range] = []
    rest = [record(offset) for offset in range(last + 1)]
    for size in cuts * (last + 1):
        if not rest:
            break
        ranges += planner.plan(rest[:size])
        rest = rest[size:]

    if last < begun_hi:
        assert ranges == []
        return
    assert (ranges[0].lo, ranges[0].hi) == (0, begun_hi)
    assert [r.offset for planned in ranges for r in planned.records] == list(range(last + 1))


def test_a_gap_at_the_end_of_a_begun_range_does_not_hold_it_back() -> None:
    planner = RangePlanner()
    planner.assign((TOPIC, 0), 3)

    ranges = planner.plan([record(1), record(2), record(5)])

    assert [(r.lo, r.hi) for r in ranges] == [(1, 3), (5, 5)]


def test_a_revoked_partition_leaves_nothing_behind() -> None:
    planner = RangePlanner()
    planner.assign((TOPIC, 0), 9)
    planner.plan([record(0)])

    planner.revoke((TOPIC, 0))

    assert [(r.lo, r.hi) for r in planner.plan([record(4)])] == [(4, 4)]
