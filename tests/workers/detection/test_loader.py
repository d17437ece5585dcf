"""Definitions are asked for when they may be stale, compiled when they changed, and kept while the store is away."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from fixtures.matches import found_matches
from fixtures.waiting import wait_until
from phospho_schemas.messages import Project, ProjectSettings
from phospho_schemas.rows.jobs import ClassifierRow
from phospho_schemas.rows.themes import ThemeModelRow
from phospho_store.clickhouse import remote
from phospho_store.errors import StatementRefused, StoreUnavailable
from phospho_store.registry.definition_sets import DefinitionSet
from phospho_workers.detection.definitions import list_definitions
from phospho_workers.detection.detect import analyse
from phospho_workers.detection.learning.classifiers import Classifier
from phospho_workers.detection.loader import BackgroundCache, DefinitionCache, read_theme_models
from workers.detection.tasks import keywords, semantic, task


class Definitions:
    """Definitions in memory, with a revision, a clock, and an outage at will."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.asked = 0
        self.loaded = 0
        self.number = 1
        self.rows = [keywords("a", "a"), keywords("b", "b", project_id="bank")]
        self.outage: Exception | None = None
        self.classifiers: list[ClassifierRow] = []
        self.projects: list[Project] = []
        self.cache = DefinitionCache(self, clock=lambda: self.now_s)

    def revisions(self) -> tuple[int, ...]:
        self.asked += 1
        if self.outage:
            raise self.outage
        return (self.number, 0)

    def read(self) -> DefinitionSet:
        self.loaded += 1
        if self.outage:
            raise self.outage
        return DefinitionSet(list(self.rows), list(self.classifiers), list(self.projects))

    def save(self, *rows) -> None:
        self.rows = list(rows)
        self.number += 1


@pytest.fixture
def store() -> Definitions:
    return Definitions()


def test_cache_asks_once_an_interval_and_loads_on_change(store) -> None:
    for _ in range(10):
        assert store.cache.current().by_project.keys() == {"shop", "bank"}
    assert (store.asked, store.loaded) == (1, 1)
    store.now_s += 2.0
    store.cache.current()
    assert (store.asked, store.loaded) == (2, 1)


def test_list_definitions_has_no_engines(store) -> None:
    store.rows = [keywords("a", "a"), keywords("whole", "a", scope="session"), keywords("nothing")]
    [whole] = DefinitionCache(store).current().by_project.values()
    [listed] = DefinitionCache(store, compiling=list_definitions).current().by_project.values()
    assert (listed.engines, found_matches(listed, ["a"], "input")) == ({}, [[]])
    assert replace(listed, engines=whole.engines) == whole
    assert [one.name for one in listed.of_sessions] == ["whole"]
    assert listed.skipped.keys() == {"nothing"}


def test_cache_compiles_only_the_changed_project(store) -> None:
    before = store.cache.current().by_project
    store.save(store.rows[0], keywords("b", "b", "c", version=2, project_id="bank"))
    assert store.cache.current().by_project is before
    store.now_s += 2.0
    after = store.cache.current().by_project
    assert after["shop"] is before["shop"]
    assert after["bank"] is not before["bank"]
    assert found_matches(after["bank"], ["c"], "input")[0][0].definition.version == 2


def test_cache_drops_a_project_with_its_last_definition(store) -> None:
    store.cache.current()
    store.save(store.rows[0])
    store.now_s += 2.0
    assert store.cache.current().by_project.keys() == {"shop"}


def test_cache_keeps_definitions_while_store_is_away(store) -> None:
    known = store.cache.current()
    store.outage = StoreUnavailable("away")
    store.now_s += 60.0
    assert store.cache.current() is known
    store.outage = None
    store.save()
    store.now_s += 2.0
    assert store.cache.current().by_project == {}


def test_an_outage_between_the_revision_and_the_load_is_made_good(store) -> None:
    store.cache.current()
    store.save(keywords("new", "new"))
    store.now_s += 2.0
    read, store.read = store.read, lambda: (_ for _ in ()).throw(StoreUnavailable("away"))
    assert store.cache.current().by_project.keys() == {"shop", "bank"}
    store.read = read
    store.now_s += 2.0
    assert store.cache.current().by_project.keys() == {"shop"}


def test_cache_never_starts_empty(store) -> None:
    store.outage = StoreUnavailable("away")
    for _ in range(2):
        with pytest.raises(StoreUnavailable):
            store.cache.current()
    store.outage = None
    assert store.cache.current().by_project.keys() == {"shop", "bank"}


def test_an_error_that_will_not_pass_is_raised(store) -> None:
    store.cache.current()
    store.outage = StatementRefused("no such table", 60)
    store.now_s += 2.0
    with pytest.raises(StatementRefused):
        store.cache.current()


class Hanging(Definitions):
    """A store that is silent while it is `held`."""

    def __init__(self) -> None:
        super().__init__()
        self.answering = threading.Event()
        self.answering.set()
        self.background = BackgroundCache(self.cache, max_wait_s=0.01)

    def revisions(self) -> tuple[int, ...]:
        assert self.answering.wait(30.0)
        return super().revisions()

    def known(self) -> set[str]:
        return set(self.background.current().by_project)


@pytest.fixture
def hanging() -> Iterator[Hanging]:
    store = Hanging()
    yield store
    store.answering.set()


def test_background_cache_waits_once_for_a_hanging_store(hanging) -> None:
    assert hanging.known() == {"shop", "bank"}
    hanging.save(hanging.rows[0])
    hanging.answering.clear()
    hanging.now_s += 2.0
    for _ in range(100):
        assert hanging.known() == {"shop", "bank"}
    assert hanging.asked == 1
    hanging.answering.set()
    wait_until(lambda: hanging.known() == {"shop"})
    assert hanging.asked == 2


def test_background_cache_raises_what_the_refresh_raises(hanging) -> None:
    hanging.known()
    hanging.outage = StatementRefused("no such table", 60)
    hanging.now_s += 2.0
    with pytest.raises(StatementRefused):
        wait_until(lambda: hanging.known() == set())


def test_store_that_accepts_and_stays_silent_is_unavailable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with pytest.raises(StoreUnavailable):
            remote(f"http://127.0.0.1:{port}/phospho", size=1, answer_timeout_s=1).rows("SELECT 1")


def test_cache_gives_classifier_to_its_project_only(store) -> None:
    store.save(semantic("a", "The user wants a zorp"), *store.rows[1:])
    before = store.cache.current().by_project
    store.classifiers = [
        _classifier_row("a", 3),
        _classifier_row("of a newer writer", 1, '{"format": 99}'),
        _classifier_row("empty", 1, ""),
    ]
    store.number += 1
    store.now_s += 2.0
    after = store.cache.current().by_project
    assert {name: classifier.version for name, classifier in after["shop"].classifiers.items()} == {"a": 3}
    assert after["bank"] is before["bank"]


def test_cache_drops_classifier_of_a_former_version(store) -> None:
    store.classifiers = [_classifier_row("a", 7)]
    store.save(semantic("a", "The user wants a zorp"))
    assert set(store.cache.current().by_project["shop"].classifiers) == {"a"}
    store.save(*store.rows, semantic("a", "The user wants a blorp", version=2))
    store.now_s += 2.0
    assert store.cache.current().by_project["shop"].classifiers == {}


def test_event_names_classifier_only_if_its_engine_used_one(store) -> None:
    store.classifiers = [_classifier_row("a", 7), _classifier_row("s", 8)]
    store.save(keywords("a", "zorp"), semantic("s", "The user wants a zorp", threshold=0.0))
    [row] = analyse([task("I want a zorp")], store.cache.current().by_project)
    assert {event["name"]: event["classifier_version"] for event in row["events"]} == {"a": 0, "s": 8}


def _classifier_row(name: str, version: int, classifier: str | None = None) -> ClassifierRow:
    ones, zeros = np.ones(256, np.float32), np.zeros(256, np.float32)
    taught = Classifier(ones, zeros, 1.0, 0.0, 0.0, 1.0, 0.0, {}, 1, 1).to_json() if classifier is None else classifier
    known = {"project_id": "shop", "definition_version": 1, "labels_digest": "d"}
    created_at = datetime(2026, 1, 1, tzinfo=UTC)
    return ClassifierRow.model_validate(
        known | {"name": name, "version": version, "classifier": taught, "created_at": created_at}
    )


def test_cache_has_projects_with_settings_but_no_definitions(store) -> None:
    settings = ProjectSettings(detect_sentiment=False)
    store.projects = [
        Project(project_id="quiet", settings=settings, created_at=datetime(2026, 1, 1, tzinfo=UTC)),
        Project(project_id="plain", created_at=datetime(2026, 1, 1, tzinfo=UTC)),
    ]
    projects = store.cache.current().by_project
    assert projects["quiet"].settings.detect_sentiment is False
    assert "plain" not in projects


def test_theme_model_without_themes_is_none_and_no_fault(caplog: pytest.LogCaptureFixture) -> None:
    created_at = datetime(2026, 1, 1, tzinfo=UTC)
    row = ThemeModelRow(project_id="shop", version=1, tasks=12, texts=12, model="", created_at=created_at)
    assert read_theme_models(row) == {}
    assert not caplog.messages
    assert read_theme_models(row.model_copy(update={"model": "{}"})) == {}
    assert "theme model 1 is not used" in caplog.text
