"""Themes are found, used by detection, given to past tasks, and kept through people's edits."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest

from phospho_schemas.rows.themes import ThemeEdit
from phospho_schemas.times import utc_now
from phospho_store.registry.definition_sets import DefinitionRepository
from phospho_store.registry.registry import Registry
from phospho_store.registry.themes import ThemeRepository
from phospho_store.store import Store
from phospho_workers.detection.detect import analyse
from phospho_workers.detection.loader import DefinitionCache
from phospho_workers.jobs.themes import sample
from phospho_workers.jobs.themes.discovery_job import ThemeDiscoveryJob
from phospho_workers.jobs.themes.history_job import ThemeHistoryJob
from store.facts import analysis, insert, task
from workers.detection.themes.requests import NEW_REQUESTS, mixed

TEXTS = [text for text, _ in mixed()]


@pytest.fixture
def themes(store: Store) -> ThemeRepository:
    return ThemeRepository(store)


def insert_tasks(store: Store, project_id: str, texts: list[str], begin: int = 0) -> None:
    rows = [(f"task-{number:04}", text) for number, text in enumerate(texts, begin)]
    insert(store, "task_rows", *(task(project_id, name, input=text) for name, text in rows))
    insert(store, "analysis_rows", *(analysis(project_id, name, names=["refund"]) for name, _ in rows))


def discovery_job(store: Store) -> ThemeDiscoveryJob:
    return ThemeDiscoveryJob(store, DefinitionRepository(store))


def run_history(store: Store) -> None:
    cache = DefinitionCache(DefinitionRepository(store), refresh_interval_s=0.0)
    job = ThemeHistoryJob(store, cache.current, threading.Lock())
    while job.step():
        pass


def stored_themes(store: Store, project_id: str) -> dict[str, str]:
    sql = "SELECT task_id, theme, events.name AS names FROM analysis_rows FINAL WHERE project_id = {project:String}"
    rows = store.rows(sql, {"project": project_id})
    assert all(row["names"] == ["refund"] for row in rows)
    return {row["task_id"]: row["theme"] for row in rows}


def test_themes_are_found_and_detection_gives_them_to_tasks(
    store: Store, project_id: str, themes: ThemeRepository
) -> None:
    insert_tasks(store, project_id, TEXTS[:40])
    assert not discovery_job(store).step()
    insert_tasks(store, project_id, TEXTS)
    assert (discovery_job(store).step(), discovery_job(store).step()) == (True, False)
    rows = themes.themes(project_id)
    assert all(row.title and row.examples and row.group_title for row in rows)
    compiled = DefinitionCache(DefinitionRepository(store)).current().by_project
    [row] = analyse([task(project_id, "new", input=TEXTS[0])], compiled)
    assert row["theme"] in {theme.theme_id for theme in rows}
    assert (row["theme_version"], row["theme_score"] > 0.3) == (1, True)


def test_theme_without_telling_words_is_named_by_a_text(store: Store, project_id: str, themes: ThemeRepository) -> None:
    short = [
        f"{begin}how much is it{end}" for begin in ("", "so ", "and ", "ok, ") for end in ("", "?", " then", " now?")
    ]
    insert_tasks(store, project_id, TEXTS + short)
    discovery_job(store).step()
    titles = [row.title for row in themes.themes(project_id) if not row.phrases]
    assert len(titles) == 1
    assert "how much is it" in titles[0].lower()


def test_past_tasks_get_the_themes_of_each_model_once(store: Store, project_id: str, themes: ThemeRepository) -> None:
    insert_tasks(store, project_id, TEXTS)
    discovery_job(store).step()
    run_history(store)
    run = themes.run(project_id)
    assert run is not None
    assert (run.status, run.tasks, run.tasks_done) == ("done", len(TEXTS), len(TEXTS))
    model = DefinitionCache(DefinitionRepository(store)).current().by_project[project_id].themes["input"]
    given = stored_themes(store, project_id)
    expected = [assignment.theme for assignment in model.assign(TEXTS)]
    assert [given[name] for name in sorted(given)] == expected

    written = store.rows("SELECT count() AS n FROM analysis_rows WHERE project_id = {p:String}", {"p": project_id})
    themes.save_run(run.model_copy(update={"status": "waiting", "before_at": None, "before_id": ""}))
    run_history(store)
    again = store.rows("SELECT count() AS n FROM analysis_rows WHERE project_id = {p:String}", {"p": project_id})
    assert again[0]["n"] <= written[0]["n"]
    assert stored_themes(store, project_id) == given


def test_refresh_finds_a_new_theme_and_keeps_the_others(store: Store, project_id: str, themes: ThemeRepository) -> None:
    insert_tasks(store, project_id, TEXTS)
    discovery_job(store).step()
    before = {theme.theme_id: theme.title for theme in themes.themes(project_id)}
    insert_tasks(store, project_id, NEW_REQUESTS, begin=len(TEXTS))
    assert not discovery_job(store).step()
    themes.request_refresh(project_id, "ada")
    assert (discovery_job(store).step(), discovery_job(store).step()) == (True, False)
    after = {theme.theme_id: theme.title for theme in themes.themes(project_id) if theme.version == 2}
    assert before.items() <= after.items()
    born = [fact for fact in themes.facts(project_id) if (fact.kind, fact.version) == ("birth", 2)]
    assert {fact.theme_id for fact in born} == after.keys() - before.keys() != set()


def test_sample_has_all_tasks_that_came_since(store: Store, project_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sample, "_MAX_TASKS", 10)
    received_at = {"old": "2026-01-01T00:00:00.000Z", "new": "2026-01-03T00:00:00.000Z"}
    # Too few for themes: the project is not due in other tests.
    counts = {"old": 35, "new": 10}
    rows = [
        task(project_id, f"{age}-{number}", input="a text", received_at=received_at[age])
        for age, count in counts.items()
        for number in range(count)
    ]
    insert(store, "task_rows", *rows)
    tasks = sample.ThemeSamples(store).sample(project_id, datetime(2026, 1, 2, tzinfo=UTC))
    assert {task.task_id for task in tasks if task.is_new} == {f"new-{number}" for number in range(10)}
    assert len(tasks) < 40
    assert not any(task.is_new for task in sample.ThemeSamples(store).sample(project_id))


def test_themes_are_found_again_each_day_with_new_tasks(store: Store, project_id: str) -> None:
    insert_tasks(store, project_id, TEXTS)
    discovery_job(store).step()
    tomorrow = lambda: utc_now() + timedelta(days=1, hours=1)  # noqa: E731
    later = ThemeDiscoveryJob(store, DefinitionRepository(store), now=tomorrow)
    assert not later.step()
    insert_tasks(store, project_id, NEW_REQUESTS, begin=len(TEXTS))
    assert later.step()


def test_edited_theme_survives_without_tasks(store: Store, project_id: str, themes: ThemeRepository) -> None:
    insert_tasks(store, project_id, TEXTS)
    discovery_job(store).step()
    theme = themes.themes(project_id)[0]
    edit = ThemeEdit(project_id=project_id, theme_id=theme.theme_id, title="Ours", edited_at=utc_now())
    themes.save_edit(edit)
    insert(store, "task_rows", *(task(project_id, f"task-{n:04}", 2, input="") for n in range(len(TEXTS))))
    insert_tasks(store, project_id, NEW_REQUESTS * 3, begin=len(TEXTS))
    themes.request_refresh(project_id, "ada")
    discovery_job(store).step()
    current = {row.theme_id for row in themes.themes(project_id) if row.version == 2}
    assert theme.theme_id in current


def test_project_that_wants_no_themes_gets_none(store: Store, registry: Registry, project_id: str) -> None:
    project = registry.project(project_id)
    assert project is not None
    settings = project.settings.model_copy(update={"detect_themes": False})
    registry.save_project(project_id, settings=settings)
    insert_tasks(store, project_id, TEXTS)
    assert not discovery_job(store).step()


def test_outputs_get_their_own_themes_where_a_project_wants_them(
    store: Store, registry: Registry, project_id: str, themes: ThemeRepository
) -> None:
    project = registry.project(project_id)
    assert project is not None
    registry.save_project(project_id, settings=project.settings.model_copy(update={"output_themes": True}))
    rows = [(f"task-{n:04}", text, TEXTS[-1 - n]) for n, text in enumerate(TEXTS)]
    insert(store, "task_rows", *(task(project_id, name, input=text, output=answer) for name, text, answer in rows))
    insert(store, "analysis_rows", *(analysis(project_id, name, names=["refund"]) for name, _, _ in rows))
    assert discovery_job(store).step()
    sides = {theme.theme_id: theme.side for theme in themes.themes(project_id)}
    assert set(sides.values()) == {"input", "output"}
    run_history(store)
    sql = "SELECT theme, output_theme FROM analysis_rows FINAL WHERE project_id = {project:String}"
    stored = store.rows(sql, {"project": project_id})
    assert {sides.get(row["theme"], "input") for row in stored} == {"input"}
    assert {sides.get(row["output_theme"], "output") for row in stored} == {"output"}
    assert sum(row["output_theme"] in sides for row in stored) > 0.8 * len(stored)
    compiled = DefinitionCache(DefinitionRepository(store)).current().by_project
    [row] = analyse([task(project_id, "new", input=TEXTS[0], output=TEXTS[1])], compiled)
    assert (sides[row["theme"]], sides[row["output_theme"]]) == ("input", "output")
