"""Ids of the SDK: they sort in the order they were made, and never repeat."""

from __future__ import annotations

import os
import signal
import threading
import uuid
from collections.abc import Callable
from itertools import chain, pairwise

import phospho
from phospho._ids import IdMaker, new_id

NOW_MS = 1_767_261_605_000


def made_at(*times_ms: int) -> list[str]:
    clock = iter(times_ms)
    ids = IdMaker(now_ms=lambda: next(clock))
    return [ids.next() for _ in times_ms]


def is_rising(ids: list[str]) -> bool:
    return all(first < second for first, second in pairwise(ids))


def time_ms(text: str) -> int:
    return uuid.UUID(text).int >> 80


def test_new_id_is_uuid7_of_its_time() -> None:
    [text] = made_at(NOW_MS)

    made = uuid.UUID(text)
    assert (made.version, made.variant, str(made)) == (7, uuid.RFC_4122, text)
    assert time_ms(text) == NOW_MS


def test_ids_of_one_millisecond_sort_in_order() -> None:
    ids = made_at(*[NOW_MS] * 5_000)

    assert is_rising(ids)
    assert set(map(time_ms, ids)) == {NOW_MS, NOW_MS + 1}


def test_ids_keep_order_when_clock_steps_back() -> None:
    assert is_rising(made_at(NOW_MS, NOW_MS - 1, NOW_MS - 59_000, NOW_MS + 1))


def test_ids_follow_corrected_clock() -> None:
    assert list(map(time_ms, made_at(NOW_MS + 86_400_000, NOW_MS))) == [NOW_MS + 86_400_000, NOW_MS]


def test_task_ids_of_a_loop_sort_in_order(recorded: phospho.RecordingTransport) -> None:
    ids = [phospho.log(input=str(number))["task_id"] for number in range(200)]

    assert is_rising(ids)


def in_threads(function: Callable[[], None], number: int) -> None:
    threads = [threading.Thread(target=function) for _ in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)


def test_ids_of_threads_differ_and_sort_in_order() -> None:
    made: list[list[str]] = []
    in_threads(lambda: made.append([new_id() for _ in range(500)]), number=8)

    assert all(map(is_rising, made))
    assert len(set(chain.from_iterable(made))) == 8 * 500


def test_child_forked_while_lock_is_held_makes_ids() -> None:
    from phospho._ids import _IDS

    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with _IDS._lock:
            held.set()
            done.wait(30)

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait(30)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        signal.alarm(20)  # ends a child that hangs
        os.write(writer, new_id().encode())
        os._exit(0)
    done.set()
    holder.join(30)
    os.close(writer)
    with os.fdopen(reader) as output:
        assert uuid.UUID(output.read()).version == 7
    assert os.waitpid(child, 0)[1] == 0
