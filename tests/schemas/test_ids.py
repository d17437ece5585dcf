"""Ids and revisions: equal where the message is equal, ordered where it matters (invariants 2 and 3)."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor

from hypothesis import given
from hypothesis import strategies as st

from phospho_schemas.ids import (
    HybridClock,
    broker_revision,
    derived_id,
    derived_uuid,
    message_key,
    newest_revision,
    revision_counter,
    revision_ms,
    session_id_of_task,
)

parts = st.lists(st.text(max_size=8) | st.binary(max_size=8), max_size=4)
times_ms = st.integers(0, 2**48 - 1)


class Clock:
    """Milliseconds that go where a test says."""

    now_ms = 1_000_000

    def __call__(self) -> int:
        return self.now_ms


@given(times_ms, parts)
def test_a_derived_uuid_is_a_version_7_of_its_time(time_ms: int, parts: list[str | bytes]) -> None:
    made = uuid.UUID(derived_uuid(time_ms, *parts))
    assert (made.version, made.variant, made.int >> 80) == (7, uuid.RFC_4122, time_ms)
    assert derived_uuid(time_ms, *parts) == str(made)


@given(times_ms, times_ms)
def test_derived_uuids_sort_by_their_time(one_ms: int, other_ms: int) -> None:
    one, other = derived_uuid(one_ms, "a"), derived_uuid(other_ms, "b")
    assert one_ms == other_ms or (one < other) == (one_ms < other_ms)


@given(parts, parts, st.integers(0, 4095), st.integers(0, 4095))
def test_derived_uuids_of_one_time_sort_by_their_order(
    parts: list[str | bytes], others: list[str | bytes], order: int, other_order: int
) -> None:
    one = derived_uuid(1_767_261_605_000, *parts, order=order)
    other = derived_uuid(1_767_261_605_000, *others, order=other_order)
    assert uuid.UUID(one).version == 7
    assert order == other_order or (one < other) == (order < other_order)


def test_an_order_that_does_not_fit_spoils_nothing() -> None:
    made = uuid.UUID(derived_uuid(1_767_261_605_000, "a", order=65_535))
    assert (made.version, made.variant, made.int >> 80) == (7, uuid.RFC_4122, 1_767_261_605_000)


def test_a_revision_is_its_milliseconds_and_what_it_counts_in_them() -> None:
    clock = HybridClock(now_ms=Clock())
    revisions = [clock.next() for _ in range(3)]
    assert [(revision_ms(one), revision_counter(one)) for one in revisions] == [(1_000_000, n) for n in range(3)]


def test_the_boundaries_of_the_parts_count() -> None:
    assert len({derived_id("ab", "c"), derived_id("a", "bc"), derived_id("abc"), derived_id("abc", "")}) == 4
    assert derived_id("text") == derived_id(b"text")


@given(st.text(max_size=50))
def test_any_text_has_an_id_and_a_session(text: str) -> None:
    assert len(derived_id(text)) == 32
    assert session_id_of_task(text).startswith("sess_")


def test_ids_are_those_that_were_always_derived() -> None:
    """Another algorithm would give every task that is replayed another id."""
    assert derived_uuid(1_767_261_605_000, "shop", "place") == "019b7900-0c88-7e68-bdc5-ed8c21eb0635"
    assert derived_id("event", "shop", "task-1", "refund") == "48690b904b7cf0a02c0b692509637490"
    assert session_id_of_task("task-1") == "sess_7c465db6fbd3574f"


def test_a_key_is_of_the_session() -> None:
    assert message_key("shop", "s", "t") == b"shop:s"
    assert message_key("shop", "\udc80", "t") == b"shop:?"


def test_a_task_has_one_key_before_and_after_its_session_was_derived() -> None:
    """Invariant 8: the key of the raw log, where there is no session yet, is that of the task."""
    assert message_key("shop", "", "t") == message_key("shop", session_id_of_task("t"), "t")


def test_a_broker_revision_rises_with_time_and_with_the_offset() -> None:
    places = [(5, 0), (5, 1), (5, 65_535), (6, 65_536), (6, 65_537), (7, 0)]
    revisions = [broker_revision(time_ms, offset) for time_ms, offset in places]
    assert revisions == sorted(set(revisions))
    assert [revision_ms(revision) for revision in revisions] == [time_ms for time_ms, _ in places]
    assert broker_revision(-1, 3) == 3


@given(st.lists(st.integers(-10_000, 10_000), max_size=20))
def test_the_clock_never_repeats_and_never_falls_wherever_the_time_goes(jumps_ms: list[int]) -> None:
    wall = Clock()
    clock = HybridClock(wall)
    revisions = [clock.next()]
    for jump_ms in jumps_ms:
        wall.now_ms += jump_ms
        revisions.append(clock.next())
    assert revisions == sorted(set(revisions))


def test_the_clock_goes_on_after_what_it_has_seen() -> None:
    clock = HybridClock(Clock())
    future = (2_000_000 << 16) + 7
    clock.observe(future)
    clock.observe(5)
    assert clock.next() == future + 1


def test_the_clock_continues_after_a_revision_of_a_clock_that_was_ahead() -> None:
    """The clock was a year ahead, wrote a revision, and was set right."""
    wall = Clock()
    clock = HybridClock(wall)
    ahead = wall.now_ms + 365 * 86_400_000 << 16
    clock.observe(ahead)
    assert [clock.next(), clock.next()] == [ahead + 1, ahead + 2]
    clock.observe(2**64 - 1)
    assert clock.next() == ahead + 3


def test_the_newest_revision_is_a_day_ahead_and_fits_64_bits() -> None:
    assert revision_ms(newest_revision(1_000_000)) == 1_000_000 + 86_400_000
    assert revision_ms(newest_revision(1_000_000) + 1) == 1_000_000 + 86_400_000 + 1
    assert newest_revision(2**48) == 2**64 - 1


def test_threads_never_get_the_same_revision() -> None:
    clock = HybridClock(Clock())
    with ThreadPoolExecutor(8) as pool:
        revisions = list(pool.map(lambda _: clock.next(), range(4000)))
    assert len(set(revisions)) == 4000
