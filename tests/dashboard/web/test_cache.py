"""Answers that are kept: for so long, so many, and no failure."""

from __future__ import annotations

import pytest

from phospho_dashboard.web.cache import TimedCache


class Reader:
    """Counts how often it is asked; time is set by the test."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.now_s = 0.0

    def read(self, key: str) -> str:
        self.asked.append(key)
        if key == "bad":
            raise ValueError(key)
        return key.upper()


@pytest.fixture
def reader() -> Reader:
    return Reader()


def test_an_answer_is_read_again_when_it_is_too_old(reader: Reader) -> None:
    kept = TimedCache(reader.read, ttl_s=10.0, clock=lambda: reader.now_s)

    assert [kept.get("a"), kept.get("a")] == ["A", "A"]
    assert reader.asked == ["a"]
    reader.now_s = 10.0
    assert kept.get("a") == "A"
    assert reader.asked == ["a", "a"]


def test_the_oldest_answers_make_room(reader: Reader) -> None:
    kept = TimedCache(reader.read, ttl_s=10.0, size=2, clock=lambda: reader.now_s)

    for key in ("a", "b", "c", "c", "a"):
        kept.get(key)

    assert reader.asked == ["a", "b", "c", "a"]


def test_a_failure_is_raised_and_not_kept(reader: Reader) -> None:
    kept = TimedCache(reader.read, ttl_s=10.0, clock=lambda: reader.now_s)

    for _ in range(2):
        with pytest.raises(ValueError, match="bad"):
            kept.get("bad")
    assert reader.asked == ["bad", "bad"]


@pytest.mark.parametrize(("duration_s", "kept_s"), [(0.1, 10.0), (2.0, 40.0), (30.0, 60.0)])
def test_what_takes_long_is_kept_for_longer_and_at_most_a_minute(
    reader: Reader, duration_s: float, kept_s: float
) -> None:
    def read(key: str) -> str:
        reader.now_s += duration_s
        return reader.read(key)

    kept = TimedCache(read, ttl_s=10.0, ttl_of_duration=20.0, clock=lambda: reader.now_s)
    kept.get("a")

    reader.now_s = kept_s - 0.01
    kept.get("a")
    assert reader.asked == ["a"]
    reader.now_s = kept_s + 0.01
    kept.get("a")
    assert reader.asked == ["a", "a"]
