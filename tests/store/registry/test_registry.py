"""The registry: projects, keys and definitions, as every process reads them."""

from __future__ import annotations

import contextlib
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from phospho_schemas.definitions.engines import ENGINE_SPECS, engine_spec
from phospho_schemas.ids import HybridClock
from phospho_schemas.messages import EventDefinition
from phospho_store.errors import Conflict, LimitReached
from phospho_store.registry.registry import Registry, first_project, key_hash
from phospho_store.store import DATABASE, Store


def definition(project_id: str, **fields: Any) -> EventDefinition:
    known = {"project_id": project_id, "name": "refund", "engine": "keyword", "keywords": ["refund"]}
    return EventDefinition.model_validate(known | {"created_at": datetime(2026, 1, 1, tzinfo=UTC)} | fields)


def test_a_saved_project_is_found(registry: Registry, project_id: str) -> None:
    saved = registry.save_project(project_id, "Shop", retention_days=30)
    found = registry.project(project_id)
    assert found is not None
    assert (found.name, found.retention_days, found.revision) == ("Shop", 30, saved.revision)
    assert abs((found.created_at - saved.created_at).total_seconds()) < 0.001


def test_a_changed_project_keeps_its_name_and_its_beginning(registry: Registry, project_id: str) -> None:
    before = registry.save_project(project_id, "Shop")
    registry.save_project(project_id, retention_days=7)
    found = registry.project(project_id)
    assert found is not None
    assert (found.name, found.retention_days) == ("Shop", 7)
    assert abs((found.created_at - before.created_at).total_seconds()) < 0.001
    assert [project.project_id for project in registry.projects()].count(project_id) == 1


def test_a_project_that_nobody_made_is_none(registry: Registry, project_id: str) -> None:
    assert registry.project(project_id) is None


def test_a_bad_project_id_is_refused(registry: Registry) -> None:
    with pytest.raises(ValueError, match="project_id"):
        registry.save_project("no/slashes")


def test_a_key_is_found_by_its_secret_alone(registry: Registry, project_id: str) -> None:
    new = registry.create_key(project_id, "staging")
    found = registry.key_of_secret(new.secret)
    assert found is not None
    assert (found.key_id, found.project_id, found.name, found.revoked_at) == (
        new.key.key_id, project_id, "staging", None,
    )  # fmt: skip
    assert registry.key_of_secret(new.secret + "x") is None


def test_no_table_has_the_secret_of_a_key(store: Store, registry: Registry, project_id: str) -> None:
    secret = registry.create_key(project_id).secret
    tables = store.rows("SELECT name FROM system.tables WHERE database = {d:String}", {"d": DATABASE})
    for table in tables:
        assert secret.encode() not in store.raw(f"SELECT * FROM {table['name']}", "JSONEachRow")
    assert key_hash(secret).encode() in store.raw("SELECT * FROM api_key_rows", "JSONEachRow")


def test_a_prefix_shows_at_most_a_quarter_of_a_short_secret(registry: Registry, project_id: str) -> None:
    assert registry.create_key(project_id, secret="short-secret").key.prefix == "sho"


def test_a_revoked_key_stays_listed_and_revoking_again_changes_nothing(registry: Registry, project_id: str) -> None:
    new = registry.create_key(project_id)
    revoked = registry.revoke_key(project_id, new.key.key_id)
    again = registry.revoke_key(project_id, new.key.key_id)
    assert revoked is not None
    assert again is not None
    assert revoked.revoked_at is not None
    assert again.revision == revoked.revision
    assert [key.revoked_at is not None for key in registry.keys(project_id)] == [True]


def test_another_projects_key_can_not_be_revoked(registry: Registry, project_id: str) -> None:
    new = registry.create_key(project_id)
    assert registry.revoke_key("somebody-else", new.key.key_id) is None
    found = registry.key_of_secret(new.secret)
    assert found is not None
    assert found.revoked_at is None


def test_a_definition_begins_at_version_1(registry: Registry, project_id: str) -> None:
    assert registry.save_definition(definition(project_id, version=9)).version == 1
    assert [found.version for found in registry.definitions(project_id)] == [1]


def test_an_edit_makes_the_next_version_and_the_same_again_does_not(registry: Registry, project_id: str) -> None:
    first = registry.save_definition(definition(project_id))
    same = registry.save_definition(definition(project_id, created_at=datetime(2026, 5, 5, tzinfo=UTC)))
    second = registry.save_definition(definition(project_id, keywords=["refund", "money back"]))
    assert (first.version, same.version, second.version) == (1, 1, 2)
    [found] = registry.definitions(project_id)
    assert (found.version, found.keywords) == (2, ["refund", "money back"])


def test_a_deleted_definition_is_gone_and_comes_back_as_a_later_version(registry: Registry, project_id: str) -> None:
    registry.save_definition(definition(project_id))
    assert registry.delete_definition(project_id, "refund")
    assert not registry.delete_definition(project_id, "refund")
    assert registry.definitions(project_id) == []
    assert registry.save_definition(definition(project_id)).version == 3


def test_definitions_saved_together_equal_those_saved_one_by_one(
    store: Store, registry: Registry, project_id: str
) -> None:
    registry.save_definitions(project_id, [definition(project_id, name=name) for name in ("a", "b", "c")])
    registry.delete_definition(project_id, "c")

    saved = registry.save_definitions(
        project_id, [definition(project_id, name="a"), definition(project_id, name="b", keywords=["x"])]
    )
    again = registry.save_definitions(project_id, [definition(project_id, name="c")])

    assert [(one.name, one.version) for one in saved + again] == [("a", 1), ("b", 2), ("c", 3)]
    assert [(one.name, one.version) for one in registry.definitions(project_id)] == [("a", 1), ("b", 2), ("c", 3)]
    assert registry.delete_definitions(project_id, ["a", "nobody"]) == ["nobody"]
    assert registry.delete_definitions(project_id, ["a", "b"]) == []
    assert [one.name for one in registry.definitions(project_id)] == ["c"]
    revisions = store.rows("SELECT revision FROM definition_rows WHERE project_id = {p:String}", {"p": project_id})
    assert len({row["revision"] for row in revisions}) == len(revisions)


def test_a_project_has_room_for_so_many_semantic_definitions(
    registry: Registry, project_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(ENGINE_SPECS, "semantic", replace(engine_spec("semantic"), max_per_project=2))

    def semantic(name: str, **fields: Any) -> EventDefinition:
        return definition(project_id, name=name, **{"engine": "semantic", "description": "A thanks", **fields})

    registry.save_definitions(project_id, [semantic("a"), semantic("b"), definition(project_id)])
    with pytest.raises(LimitReached, match="room for 2") as refused:
        registry.save_definition(semantic("c"))
    assert refused.value.code == "too_many_definitions"
    assert "delete one" in refused.value.hint
    # What is there already is edited, and other engines are not counted.
    registry.save_definitions(project_id, [semantic("a", description="Much"), definition(project_id, name="refund 2")])
    with pytest.raises(LimitReached, match="room for 2"):
        registry.save_definitions(project_id, [definition(project_id, name="kept out"), semantic("refund")])
    assert [one.name for one in registry.definitions(project_id)] == ["a", "b", "refund", "refund 2"]

    registry.delete_definition(project_id, "a")
    assert registry.save_definition(semantic("c")).version == 1
    # One that changes its engine makes room for another in the same insert.
    registry.save_definitions(project_id, [semantic("d"), definition(project_id, name="b")])
    with pytest.raises(LimitReached, match="room for 2"):
        registry.save_definition(semantic("a"))


def test_the_view_shows_what_the_registry_does(store: Store, registry: Registry, project_id: str) -> None:
    for name in ("a", "b", "c"):
        registry.save_definition(definition(project_id, name=name))
    registry.save_definition(definition(project_id, name="a", threshold=0.25))
    registry.delete_definition(project_id, "b")
    query = "SELECT name, version, threshold FROM definitions WHERE project_id = {p:String} ORDER BY name"
    shown = store.rows(query, {"p": project_id})
    assert shown == [{"name": "a", "version": 2, "threshold": 0.25}, {"name": "c", "version": 1, "threshold": None}]
    assert [(d.name, d.version) for d in registry.definitions(project_id)] == [("a", 2), ("c", 1)]


def test_every_change_of_a_definition_moves_the_revision(registry: Registry, project_id: str) -> None:
    revisions = [registry.definitions_revision()]
    registry.save_definition(definition(project_id))
    revisions.append(registry.definitions_revision())
    registry.save_definition(definition(project_id, keywords=["other"]))
    revisions.append(registry.definitions_revision())
    registry.delete_definition(project_id, "refund")
    revisions.append(registry.definitions_revision())
    assert revisions == sorted(set(revisions))


@pytest.fixture
def ahead(store: Store) -> Registry:
    """The registry of a process whose clock is two seconds ahead."""
    return Registry(store, HybridClock(lambda: time.time_ns() // 1_000_000 + 2_000))


def test_a_key_is_revoked_by_a_process_whose_clock_is_behind(
    ahead: Registry, registry: Registry, project_id: str
) -> None:
    new = ahead.create_key(project_id)
    registry.revoke_key(project_id, new.key.key_id)
    found = registry.key_of_secret(new.secret)
    assert found is not None
    assert found.revoked_at is not None


def test_a_key_that_is_given_again_is_good_again_whichever_clock_is_behind(
    ahead: Registry, registry: Registry, project_id: str
) -> None:
    new = ahead.create_key(project_id)
    ahead.revoke_key(project_id, new.key.key_id)
    registry.create_key(project_id, secret=new.secret)
    found = registry.key_of_secret(new.secret)
    assert found is not None
    assert found.revoked_at is None


def test_a_project_is_changed_by_a_process_whose_clock_is_behind(
    ahead: Registry, registry: Registry, project_id: str
) -> None:
    ahead.save_project(project_id, "Shop")
    registry.save_project(project_id, "Corner shop", retention_days=7)
    found = registry.project(project_id)
    assert found is not None
    assert (found.name, found.retention_days) == ("Corner shop", 7)


def test_definition_of_a_process_with_a_late_clock_moves_the_revision(
    ahead: Registry, registry: Registry, project_id: str
) -> None:
    """Detection asks for that number alone, and for the definitions only where it has changed."""
    ahead.save_definition(definition(project_id, name="a"))
    before = registry.definitions_revision()
    saved = registry.save_definition(definition(project_id, name="b"))
    assert registry.definitions_revision() == saved.revision > before


def test_where_there_is_a_project_the_first_start_makes_nothing(registry: Registry, project_id: str) -> None:
    registry.save_project(project_id)
    project, key = first_project(registry, "other-than-" + project_id)
    assert key is None
    assert project.project_id == registry.projects()[0].project_id


class MeetingRegistry(Registry):
    """The revision is asked for by two threads at once, where nothing keeps one of them away."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self._meeting = threading.Barrier(2)

    def definitions_revision(self) -> int:
        with contextlib.suppress(threading.BrokenBarrierError):
            self._meeting.wait(0.5)
        return super().definitions_revision()


def test_two_definitions_that_are_saved_at_once_are_two_versions(store: Store, project_id: str) -> None:
    registry = MeetingRegistry(store)
    with ThreadPoolExecutor(2) as threads:
        saved = list(
            threads.map(
                registry.save_definition, [definition(project_id, keywords=[word]) for word in ("plane", "jet")]
            )
        )

    assert sorted(one.version for one in saved) == [1, 2]
    stored = registry.definition_versions(project_id, "refund")
    assert {one.version: one.keywords for one in stored} == {one.version: one.keywords for one in saved}


def test_a_change_of_a_version_that_is_not_the_last_is_refused(registry: Registry, project_id: str) -> None:
    first = registry.save_definition(definition(project_id, keywords=["plane"]), 0)
    registry.save_definition(definition(project_id, keywords=["jet"]), first.version)

    for base_version, code in ((0, "definition_exists"), (1, "changed_meanwhile"), (3, "changed_meanwhile")):
        with pytest.raises(Conflict) as refused:
            registry.save_definition(definition(project_id, keywords=["glider"]), base_version)
        assert refused.value.code == code
    # What says what is stored changes nothing, and so overwrites nothing.
    assert registry.save_definition(definition(project_id, keywords=["jet"]), 1).version == 2
