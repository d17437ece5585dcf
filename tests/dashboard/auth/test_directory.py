"""Changes of people that meet: none undoes another, and an admin is left."""

from __future__ import annotations

import contextlib
import itertools
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest

from phospho_dashboard.auth.directory import Directory, Passwords
from phospho_schemas.rows.people import Person, Roles
from phospho_store.errors import Conflict
from phospho_store.registry.people import People
from phospho_store.store import Store
from phospho_web.problems import Problem

PASSWORD = "correct horse battery"
_NUMBERS = itertools.count()


class SlowPasswords(Passwords):
    """Hashes a password while somebody else does something."""

    def __init__(self) -> None:
        super().__init__()
        self.meanwhile: Callable[[], object] = lambda: None

    def hashed(self, password: str) -> str:
        self.meanwhile()
        return "argon2 of " + password


class MeetingPeople(People):
    """Everybody is read by two threads at once, where nothing keeps one of them away."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self._meeting = threading.Barrier(2)

    def everybody(self) -> list[Person]:
        found = super().everybody()
        with contextlib.suppress(threading.BrokenBarrierError):
            self._meeting.wait(0.5)
        return found


@pytest.fixture
def name() -> str:
    return f"eve-{next(_NUMBERS)}@shop.example"


@pytest.mark.parametrize("change", ["remove", "sign_out"])
def test_a_password_that_was_hashed_meanwhile_does_not_undo_a_change(world: Any, name: str, change: str) -> None:
    passwords = SlowPasswords()
    directory, other = Directory(People(world.store), passwords), People(world.store)
    person = directory.add(name, "editor", PASSWORD)
    passwords.meanwhile = lambda: getattr(other, change)(person, datetime.now(UTC))

    with pytest.raises(Conflict) as refused:
        directory.change(name, password="another horse battery")

    assert refused.value.code == "changed_meanwhile"
    found = other.person(name)
    assert (found is None) == (change == "remove")
    assert found is None or found.password_hash == person.password_hash


def test_add_keeps_a_person_added_during_the_hashing(world: Any, name: str) -> None:
    passwords = SlowPasswords()
    directory, other = Directory(People(world.store), passwords), People(world.store)
    passwords.meanwhile = lambda: other.add(name, Roles("viewer"), "hash", datetime.now(UTC))

    with pytest.raises(Conflict, match="may sign in already"):
        directory.add(name, "admin", PASSWORD)

    found = other.person(name)
    assert found is not None
    assert found.role == "viewer"


@pytest.mark.parametrize("change", [lambda d, n: d.change(n, "viewer"), lambda d, n: d.remove(n)])
def test_of_two_admins_who_are_made_something_else_at_once_one_stays(
    world: Any, change: Callable[[Directory, str], object]
) -> None:
    directory = Directory(MeetingPeople(world.store), SlowPasswords())
    names = [f"admin-{next(_NUMBERS)}@shop.example" for _ in range(2)]
    for one in names:
        directory.people.add(one, Roles("admin"), "", datetime.now(UTC))

    with ThreadPoolExecutor(2) as threads:
        problems = [done.exception() for done in [threads.submit(change, directory, one) for one in names]]

    assert [type(problem) for problem in problems if problem is not None] == [Problem]
    left = [person for person in People(world.store).everybody() if person.role == "admin"]
    assert len(left) == 1
    People(world.store).remove(left[0], datetime.now(UTC))
