"""Receivers that hang, or have much to be told, take a share and no more."""

from __future__ import annotations

from phospho_workers.jobs.webhooks.fair_share import THREADS, Key, chosen


def events(project_id: str, webhook_id: str, count: int) -> list[Key]:
    return [(project_id, webhook_id, f"{number:03}") for number in range(count)]


def test_one_receiver_takes_four_and_one_project_six() -> None:
    assert len(list(chosen(events("a", "one", 50), [], ()))) == 4
    due = [key for number in range(4) for key in events("a", f"hook-{number}", 50)]
    begun = list(chosen(due, [], ()))
    assert len(begun) == 6
    assert list(chosen(due, begun, ())) == []


def test_a_project_with_one_event_comes_before_those_that_have_waited_longer_with_many() -> None:
    many = [key for name in "abcd" for hook in "xyz" for key in events(name, hook, 50)]
    begun = list(chosen(many, [], ()))
    assert len(begun) == THREADS
    # One of them has ended.
    following = list(chosen([*many, *events("late", "hook", 1)], begun[1:], ()))
    assert following == [("late", "hook", "000")]


def test_receivers_that_hang_leave_half_to_the_others_whatever_their_number() -> None:
    due = [key for number in range(40) for key in events(f"bad-{number}", "hook", 9)]
    hanging = {key[:2] for key in due}
    begun = list(chosen(due, [], hanging))
    assert len(begun) == len({key[:2] for key in begun}) == 8
    assert list(chosen([*due, *events("good", "hook", 1)], begun, hanging)) == [("good", "hook", "000")]


def test_one_that_hangs_has_one_message_under_way() -> None:
    assert list(chosen(events("a", "hook", 9), [], {("a", "hook")})) == [("a", "hook", "000")]


def test_of_one_receiver_what_is_due_first_goes_first() -> None:
    assert list(chosen(events("a", "hook", 9), [], ())) == events("a", "hook", 4)
