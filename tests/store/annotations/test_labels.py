"""A label corrects what readers see of an event, and can be taken back."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest

from fixtures.labels import new_label
from phospho_schemas.ids import HybridClock, event_id
from phospho_schemas.messages import ProjectSettings
from phospho_schemas.rows.annotations import Note
from phospho_store.annotations.labels import LabelRepository
from phospho_store.registry.registry import Registry
from phospho_store.store import Store
from store.facts import analysis, insert, task, view


@pytest.fixture
def repository(store: Store, project_id: str) -> LabelRepository:
    insert(store, "task_rows", task(project_id, "one", user_id="ann"), task(project_id, "two"))
    insert(store, "analysis_rows", analysis(project_id, "one", names=["refund", "thanks"]))
    return LabelRepository(store)


def events(store: Store, project_id: str) -> set[tuple[str, str, str]]:
    return {(row["task_id"], row["name"], row["label"]) for row in view(store, "events", project_id)}


def test_what_is_rejected_is_no_event_and_what_is_confirmed_stays_one(
    store: Store, repository: LabelRepository, project_id: str
) -> None:
    repository.save_labels(
        [new_label(project_id, "refund", "one", "rejected"), new_label(project_id, "thanks", "one", "confirmed")]
    )
    assert events(store, project_id) == {("one", "thanks", "confirmed")}


def test_added_event_has_the_id_that_detection_would_give(
    store: Store, repository: LabelRepository, project_id: str
) -> None:
    repository.save_labels([new_label(project_id, "refund", "two", "confirmed", "ann@example.com")])
    [added] = [row for row in view(store, "events", project_id) if row["task_id"] == "two"]
    assert (added["name"], added["engine"], added["session_id"]) == ("refund", "person", "session")
    assert added["id"] == event_id(project_id, "two", "refund")


def test_an_added_event_that_detection_finds_later_counts_once(
    store: Store, repository: LabelRepository, project_id: str
) -> None:
    repository.save_labels([new_label(project_id, "refund", "two", "confirmed")])
    insert(store, "analysis_rows", analysis(project_id, "two", names=["refund"]))
    assert [row["engine"] for row in view(store, "events", project_id) if row["task_id"] == "two"] == ["keyword"]


def test_a_label_that_is_taken_back_changes_nothing(store: Store, repository: LabelRepository, project_id: str) -> None:
    before = events(store, project_id)
    repository.save_labels([new_label(project_id, "refund", "one", "rejected")])
    repository.save_labels([new_label(project_id, "refund", "one", "")])
    assert events(store, project_id) == before
    assert (repository.labels(project_id, "refund"), view(store, "labels", project_id)) == ([], [])


def test_a_session_counts_the_events_that_the_view_of_events_shows(
    store: Store, repository: LabelRepository, project_id: str
) -> None:
    repository.save_labels(
        [new_label(project_id, "refund", "one", "rejected"), new_label(project_id, "angry", "two", "confirmed")]
    )
    [session] = view(store, "sessions", project_id)
    assert (session["events"], session["event_names"]) == (2, ["angry", "thanks"])


def test_a_label_of_another_process_whose_clock_is_ahead_is_replaced(
    store: Store, repository: LabelRepository, project_id: str
) -> None:
    ahead = LabelRepository(store, HybridClock(lambda: time.time_ns() // 1_000_000 + 3_600_000))
    ahead.save_labels([new_label(project_id, "refund", "one", "rejected")])
    repository.save_labels([new_label(project_id, "refund", "one", "confirmed")])
    assert [label.label for label in repository.labels(project_id, "refund")] == ["confirmed"]


def test_notes_of_a_task_are_the_last_written_without_the_deleted(
    store: Store, repository: LabelRepository, project_id: str
) -> None:
    note = Note(project_id=project_id, task_id="one", note_id="n1", text="look", created_at=datetime.now(UTC))
    repository.save_note(note)
    repository.save_note(note.model_copy(update={"text": "looked"}))
    repository.save_note(note.model_copy(update={"note_id": "n2", "is_deleted": True}))
    assert [note.text for note in repository.notes(project_id, ["one", "two"])] == ["looked"]


def test_a_note_is_deleted_by_a_process_whose_clock_is_behind(
    store: Store, repository: LabelRepository, project_id: str
) -> None:
    note = Note(project_id=project_id, task_id="one", note_id="n1", text="look", created_at=datetime.now(UTC))
    LabelRepository(store, HybridClock(lambda: time.time_ns() // 1_000_000 + 3_600_000)).save_note(note)
    repository.save_note(note.model_copy(update={"text": "", "is_deleted": True}))
    assert repository.notes(project_id, ["one"]) == []


def test_settings_of_a_project_stay_where_none_are_given(store: Store, project_id: str) -> None:
    registry = Registry(store)
    registry.save_project(project_id, settings=ProjectSettings(session_idle_minutes=5))
    registry.save_project(project_id, "The shop")
    saved = registry.project(project_id)
    assert saved is not None
    assert (saved.name, saved.settings.session_idle_minutes) == ("The shop", 5)
