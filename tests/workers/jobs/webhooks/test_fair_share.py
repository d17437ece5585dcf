"""Receivers that hang, or have many deliveries due, take a share of the threads and no more."""

from __future__ import annotations

from phospho_workers.jobs.webhooks.delivery import THREADS, next_deliveries
from phospho_workers.jobs.webhooks.pending import DeliveryKey, WebhookKey


def deliveries(project_id: str, webhook_id: str, count: int) -> list[DeliveryKey]:
    return [DeliveryKey(project_id, webhook_id, f"{number:03}") for number in range(count)]


def test_fair_share_limits_a_webhook_to_four_and_a_project_to_six() -> None:
    assert len(list(next_deliveries(deliveries("a", "one", 50), [], ()))) == 4
    due = [key for number in range(4) for key in deliveries("a", f"hook-{number}", 50)]
    begun = list(next_deliveries(due, [], ()))
    assert len(begun) == 6
    assert list(next_deliveries(due, begun, ())) == []


def test_fair_share_prefers_the_project_with_fewest_in_flight() -> None:
    many = [key for name in "abcd" for hook in "xyz" for key in deliveries(name, hook, 50)]
    begun = list(next_deliveries(many, [], ()))
    assert len(begun) == THREADS
    # One of them has ended.
    following = list(next_deliveries([*many, *deliveries("late", "hook", 1)], begun[1:], ()))
    assert following == [("late", "hook", "000")]


def test_fair_share_leaves_half_the_threads_to_receivers_that_answer() -> None:
    due = [key for number in range(40) for key in deliveries(f"bad-{number}", "hook", 9)]
    hanging = {key.webhook for key in due}
    begun = list(next_deliveries(due, [], hanging))
    assert len(begun) == len({key.webhook for key in begun}) == 8
    assert list(next_deliveries([*due, *deliveries("good", "hook", 1)], begun, hanging)) == [("good", "hook", "000")]


def test_fair_share_gives_a_hanging_receiver_one_delivery() -> None:
    assert list(next_deliveries(deliveries("a", "hook", 9), [], {WebhookKey("a", "hook")})) == [("a", "hook", "000")]


def test_fair_share_keeps_the_order_of_a_webhook() -> None:
    assert list(next_deliveries(deliveries("a", "hook", 9), [], ())) == deliveries("a", "hook", 4)
