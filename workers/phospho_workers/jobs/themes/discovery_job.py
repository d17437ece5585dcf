"""The job that finds the themes of each project, on a schedule and when somebody asks."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from threadpoolctl import threadpool_limits

from phospho_schemas.messages import ProjectSettings
from phospho_schemas.rows.themes import ThemeEdit, ThemeFact, ThemeModelRow, ThemeRow, ThemeRun, ThemeSide
from phospho_schemas.times import utc_now
from phospho_store.registry.definition_sets import DefinitionRepository, DefinitionSet
from phospho_store.registry.themes import ThemeRepository
from phospho_store.store import Store
from phospho_workers.detection.learning.student_fitting import worthwhile_student
from phospho_workers.detection.loader import read_student, read_theme_models
from phospho_workers.detection.semantic.student import Student
from phospho_workers.detection.themes.discovery import MIN_TEXTS, Discovery, Previous, discover
from phospho_workers.detection.themes.matching import continued_groups
from phospho_workers.detection.themes.naming import distinct_title
from phospho_workers.jobs.loop.leases import Holds, all_projects
from phospho_workers.jobs.stored_tasks import task_counts
from phospho_workers.jobs.themes.sample import SampledTask, ThemeSamples

logger = logging.getLogger(__name__)

_INTERVAL = timedelta(days=1)
# A model of a small project is made anew when it has so many times the tasks, as far as samples grow.
_GROWTH = 2
_FRESH_GROWTH = 3
_FULL_SAMPLE = 12_000


class _DueProject(NamedTuple):
    project_id: str
    tasks: int
    previous: ThemeModelRow | None
    student: Student | None
    sides: Sequence[ThemeSide]

    @property
    def version(self) -> int:
        """The version of the next model."""
        return 1 if self.previous is None else self.previous.version + 1

    def id_seed(self, side: ThemeSide) -> str:
        """Return what the ids of new themes derive from: those of equal texts differ by side."""
        return self.project_id if side == "input" else f"{self.project_id} {side}"


class ThemeDiscoveryJob:
    """Keeps a theme model for every project with at least MIN_TEXTS tasks, one project a step."""

    name = "themes"
    pause_s = 10.0
    tables = ("task_rows", "theme_refresh_rows", "project_rows")
    max_pause_s = 3_600.0

    def __init__(
        self,
        store: Store,
        definitions: DefinitionRepository,
        now: Callable[[], datetime] = utc_now,
        holds: Holds = all_projects,
    ) -> None:
        self._holds = holds
        self._store = store
        self._definitions = definitions
        self._repository = ThemeRepository(store)
        self._samples = ThemeSamples(store)
        self._now = now

    def step(self) -> bool:
        """Find the themes of one project that is due, and return whether there was any."""
        due = self._due()
        if due is None:
            return False
        started_at = self._now()
        tasks = self._samples.sample(due.project_id, due.previous.created_at if due.previous is not None else None)
        edits = self._repository.edits(due.project_id)
        with threadpool_limits(1, "blas"):
            discoveries = {
                side: discovery
                for side in due.sides
                if (discovery := self._discovered(due, side, tasks, edits)) is not None
            }
        self._save(due, tasks, discoveries, started_at)
        return True

    def _due(self) -> _DueProject | None:
        definition_set = self._definitions.read()
        settings = {project.project_id: project.settings for project in definition_set.projects}
        models = {model.project_id: model for model in definition_set.theme_models}
        refreshes = self._repository.refreshes()
        for project_id, tasks in task_counts(self._store):
            wanted = settings.get(project_id, ProjectSettings())
            is_wanted = self._holds(project_id) and wanted.detect_themes
            if is_wanted and self._is_due(tasks, models.get(project_id), refreshes.get(project_id)):
                student = _student(definition_set, project_id)
                sides: Sequence[ThemeSide] = ("input", "output") if wanted.output_themes else ("input",)
                return _DueProject(project_id, tasks, models.get(project_id), student, sides=sides)
        return None

    def _is_due(self, tasks: int, previous: ThemeModelRow | None, requested_at: datetime | None) -> bool:
        if previous is None:
            return tasks >= MIN_TEXTS
        if requested_at is not None and requested_at > previous.created_at:
            return True
        has_grown = tasks >= _GROWTH * previous.tasks and previous.texts < _FULL_SAMPLE
        is_old = self._now() - previous.created_at > _INTERVAL and tasks > previous.tasks
        return has_grown or is_old

    def _discovered(
        self, due: _DueProject, side: ThemeSide, tasks: Sequence[SampledTask], edits: Mapping[str, ThemeEdit]
    ) -> Discovery | None:
        texts = [task.text(side) for task in tasks]
        model = read_theme_models(due.previous).get(side) if due.previous is not None else None
        if due.previous is None or model is None:
            student = due.student or worthwhile_student(texts)
            return discover(texts, due.id_seed(side), due.version, student=student)
        is_fresh = len(texts) >= _FRESH_GROWTH * due.previous.texts
        student = (due.student or worthwhile_student(texts)) if is_fresh else None
        made_at = due.previous.created_at
        previous = Previous(
            model,
            is_new=[task.is_new for task in tasks],
            is_fresh=is_fresh,
            kept={name for name, edit in edits.items() if edit.is_pinned or edit.title or edit.merged_into},
            to_split={name for name, edit in edits.items() if edit.split_at is not None and edit.split_at > made_at},
        )
        return discover(texts, due.id_seed(side), due.version, previous=previous, student=student)

    def _save(
        self,
        due: _DueProject,
        tasks: Sequence[SampledTask],
        discoveries: Mapping[ThemeSide, Discovery],
        now: datetime,
    ) -> None:
        models = {side: discovery.model.to_json() for side, discovery in discoveries.items()}
        model = ThemeModelRow(
            project_id=due.project_id,
            version=due.version,
            tasks=due.tasks,
            texts=len(tasks),
            model=models.get("input", ""),
            output_model=models.get("output", ""),
            created_at=now,
        )
        stored = self._repository.themes(due.project_id)
        themes: list[ThemeRow] = []
        for side, discovery in discoveries.items():
            previous = {theme.theme_id: theme for theme in stored if theme.side == side}
            ids = {task.text(side): task.task_id for task in reversed(tasks)}
            themes += [row.model_copy(update={"side": side}) for row in _theme_rows(discovery, model, previous, ids)]
        facts = [
            ThemeFact(project_id=due.project_id, version=due.version, created_at=now, **fact._asdict())
            for discovery in discoveries.values()
            for fact in discovery.facts
        ]
        self._repository.save_discovery(model, themes, facts, max(self._definitions.revisions()))
        run = self._repository.run(due.project_id)
        self._repository.save_run(
            ThemeRun(
                project_id=due.project_id,
                version=due.version,
                revision=0 if run is None else run.revision,
                status="waiting" if discoveries else "done",
                tasks=due.tasks,
                updated_at=now,
            )
        )
        logger.info("%s: theme model %d has %d themes", due.project_id, due.version, len(themes))


def _student(definition_set: DefinitionSet, project_id: str) -> Student | None:
    row = next((row for row in definition_set.students if row.project_id == project_id), None)
    return None if row is None else read_student(row)


def _theme_rows(
    discovery: Discovery, model: ThemeModelRow, previous: Mapping[str, ThemeRow], ids: Mapping[str, str]
) -> list[ThemeRow]:
    """
    Return the rows of themes. One that was there before keeps its title, its group and the time of its birth.

    Where the sample was clustered anew, titles are those of the new members, and no theme is news.
    """
    former_titles = {} if discovery.is_anew else {theme_id: theme.title for theme_id, theme in previous.items()}
    first_at = min((theme.created_at for theme in previous.values()), default=model.created_at)
    born_at = first_at if discovery.is_anew else model.created_at
    old_groups = {theme_id: theme.group_id for theme_id, theme in previous.items() if theme.group_id}
    group_ids = continued_groups([(theme.theme_id, theme.group) for theme in discovery.themes], old_groups)
    taken = {former_titles[theme.theme_id] for theme in discovery.themes if theme.theme_id in former_titles}
    rows = []
    for theme in discovery.themes:
        title = former_titles.get(theme.theme_id) or distinct_title(theme.name.phrases or [theme.name.title], taken)
        taken.add(title)
        rows.append(
            ThemeRow(
                project_id=model.project_id,
                theme_id=theme.theme_id,
                version=model.version,
                title=title,
                phrases=theme.name.phrases,
                examples=[ids[text] for text in theme.examples if text in ids],
                texts=theme.texts,
                group_id=group_ids[theme.group],
                group_title=discovery.groups[theme.group],
                x=theme.position[0],
                y=theme.position[1],
                created_at=previous[theme.theme_id].created_at if theme.theme_id in previous else born_at,
            )
        )
    return rows
