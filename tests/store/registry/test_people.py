"""People and their sign-ins, as every process reads them."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import ValidationError

from phospho_schemas.rows.people import Roles, may_act_as
from phospho_store.errors import Conflict
from phospho_store.registry.people import People
from phospho_store.store import Store

# The table forgets sign-ins a month after their end: this is a day of now.
NOW = datetime.now(UTC).replace(microsecond=0)
WEEK = timedelta(days=7)
_NUMBERS = itertools.count()


@pytest.fixture
def people(store: Store) -> People:
    return People(store)


@pytest.fixture
def name() -> str:
    """Return a name that nobody has yet."""
    return f"person-{next(_NUMBERS)}@shop.example"


def test_a_person_is_found_by_a_name_in_any_case(people: People, name: str) -> None:
    people.add(f" {name.upper()} ", Roles("editor"), "hash", NOW)
    found = people.person(name.title())
    assert found is not None
    assert (found.name, found.role, found.password_hash, found.created_at) == (name, "editor", "hash", NOW)


@pytest.mark.parametrize("name", ["", " ", "two words", "line\nbreak", "x" * 255])
def test_a_name_that_can_not_be_one_is_refused(people: People, name: str) -> None:
    with pytest.raises(ValidationError):
        people.add(name, Roles("viewer"), "", NOW)


def test_who_was_removed_is_nobody_and_may_be_added_again(people: People, name: str) -> None:
    people.remove(people.add(name, Roles("admin"), "hash", NOW), NOW)
    assert people.person(name) is None
    assert name not in {person.name for person in people.everybody()}
    people.add(name, Roles("viewer"), "", NOW)
    assert [(one.name, one.role) for one in people.everybody() if one.name == name] == [(name, "viewer")]


def test_role_and_password_change_by_themselves(people: People, name: str) -> None:
    person = people.set_roles(people.add(name, Roles("viewer"), "hash", NOW), Roles("admin"))
    people.set_password(person, "other", NOW + WEEK)
    found = people.person(name)
    assert found is not None
    assert (found.role, found.password_hash, found.signed_out_at) == ("admin", "other", NOW + WEEK)


def test_a_sign_in_is_found_by_its_token_which_is_not_stored(people: People, store: Store, name: str) -> None:
    token, opened = people.open_sign_in(name, NOW, WEEK)
    assert people.sign_in(token) == opened
    assert people.sign_in(token + "x") is None
    assert token not in store.raw("SELECT * FROM sign_in_rows", "JSONEachRow").decode()


def test_what_is_seen_later_does_not_open_a_sign_in_that_has_ended(people: People, name: str) -> None:
    """Another process may say so that has not heard of the end yet."""
    token, opened = people.open_sign_in(name, NOW, WEEK)
    people.end(opened, NOW)
    people.saw(opened, NOW + timedelta(minutes=5))
    found = people.sign_in(token)
    assert found is not None
    assert found.ended_at == NOW


def test_sign_ins_are_those_that_count(people: People, name: str) -> None:
    person = people.add(name, Roles("viewer"), "", NOW)
    _, ended = people.open_sign_in(name, NOW, WEEK)
    people.end(ended, NOW)
    people.open_sign_in(name, NOW, timedelta(hours=1))
    _, open_one = people.open_sign_in(name, NOW, WEEK)
    later = NOW + timedelta(hours=2)
    assert [one.sign_in_id for one in people.sign_ins(person, later)] == [open_one.sign_in_id]
    assert people.sign_ins(people.sign_out(person, later), later) == []


def test_neither_hash_shows_in_what_is_printed(people: People, name: str) -> None:
    _, opened = people.open_sign_in(name, NOW, WEEK)
    assert "argon-hash" not in repr(people.add(name, Roles("viewer"), "argon-hash", NOW))
    assert opened.token_hash not in repr(opened)


def test_a_role_may_do_what_those_before_it_may() -> None:
    assert may_act_as("admin", "viewer")
    assert may_act_as("editor", "editor")
    assert not may_act_as("viewer", "editor")
    assert not may_act_as("editor", "admin")


def test_a_change_of_a_row_that_has_changed_since_is_refused(people: People, store: Store, name: str) -> None:
    """An admin who is removed while their new password is hashed stays removed."""
    read = people.add(name, Roles("admin"), "hash", NOW)
    People(store).remove(read, NOW)
    for change in (
        lambda: people.set_roles(read, Roles("admin")),
        lambda: people.set_password(read, "other", NOW),
        lambda: people.renew_hash(read, "other"),
        lambda: people.sign_out(read, NOW),
        lambda: people.remove(read, NOW),
    ):
        with pytest.raises(Conflict) as refused:
            change()
        assert refused.value.code == "changed_meanwhile"
    assert people.person(name) is None
