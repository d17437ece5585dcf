"""The views of all analytics pages, in the order of the navigation, and those of tasks."""

from __future__ import annotations

from functools import partial

from phospho_dashboard.analytics.events import BackfillReader, EventPages, QualityReader, UncheckedTasksReader
from phospho_dashboard.analytics.overview import ChangesReader, DeadLetterCounter, FreshnessReader, OverviewPage
from phospho_dashboard.analytics.sessions import SessionPages
from phospho_dashboard.analytics.similar import MeaningReader, SimilarTasks
from phospho_dashboard.analytics.tasks import SORTS, Tasks, task_list_extras
from phospho_dashboard.analytics.texts import LONG_TEXTS, WHOLE_TEXTS
from phospho_dashboard.analytics.user import UserPage
from phospho_dashboard.analytics.users import UsersPage
from phospho_dashboard.analytics.versions import VersionsPage
from phospho_dashboard.layout.views import PAGING, Content, PageExtras, View, ViewRequest
from phospho_dashboard.saved_views.saved import SavedViews
from phospho_dashboard.services import Services
from phospho_dashboard.transcripts.highlights import excerpt
from phospho_dashboard.transcripts.messages import TEXT_PARAMETER, with_messages
from phospho_dashboard.transcripts.steps import step_tree
from phospho_store.registry.registry import Registry
from phospho_store.store import Store


def analytics_views(
    services: Services,
    *,
    changes: ChangesReader,
    meaning: MeaningReader,
    freshness: FreshnessReader,
    count_dead_letters: DeadLetterCounter,
    quality: QualityReader,
    backfills: BackfillReader,
    unchecked_tasks: UncheckedTasksReader,
) -> list[View]:
    """Return the views. The functions are those of other features: changes, detection, health and definitions."""
    store, registry, prices = services.store, services.registry, services.settings.prices
    saved_views = SavedViews(services)
    addable_events = partial(_addable_events, registry)
    overview = OverviewPage(
        store, registry, prices, changes=changes, freshness=freshness, count_dead_letters=count_dead_letters
    )
    events = EventPages(store, registry, quality=quality, backfills=backfills, unchecked_tasks=unchecked_tasks)
    return [
        *overview.views(),
        *SessionPages(store, addable_events, saved_views).views(),
        *TaskPages(store, meaning, addable_events, saved_views).views(),
        *events.views(),
        *UsersPage(store).views(),
        *UserPage(store, prices).views(),
        *VersionsPage(store, prices).views(),
    ]


class TaskPages:
    """The views of the list of tasks, of one task, and of the tasks that are similar to it."""

    def __init__(
        self, store: Store, meaning: MeaningReader, addable_events: PageExtras, saved_views: SavedViews
    ) -> None:
        self._saved_views = saved_views
        self._tasks = Tasks(store)
        self._similar = SimilarTasks(store, meaning)
        self._addable_events = addable_events

    def views(self) -> list[View]:
        return [
            View(
                "tasks",
                "/tasks",
                "analytics/tasks.html",
                self.read_list,
                page_extras=self._list_extras,
                parameters=PAGING,
                page_parameters=("columns",),
            ),
            View(
                "tasks",
                "/tasks",
                "analytics/task.html",
                self.read_item,
                is_item=True,
                page_extras=self._item_extras,
                parameters=(TEXT_PARAMETER,),
            ),
            View(
                "tasks",
                "/similar-tasks",
                "analytics/similar_tasks.html",
                self.read_similar,
                is_item=True,
                page_extras=task_list_extras,
                page_parameters=("columns",),
            ),
        ]

    def _list_extras(self, request: ViewRequest, content: Content) -> Content:
        words = request.scope.filters.q
        matches = self._tasks.matches(request.project_id, [task["task_id"] for task in content["tasks"]], words)
        excerpts = {task_id: excerpt(texts, words) for task_id, texts in matches.items()}
        saved = self._saved_views.of_list(request.project_id, "tasks", request.query, request.columns)
        return task_list_extras(request, content) | saved | {"excerpts": excerpts} | self._of_import(request)

    def _of_import(self, request: ViewRequest) -> Content:
        """Return the file of the import that the list is narrowed to, and the number of the tasks that are listed."""
        files = [file for condition in request.scope.filters.conditions if (file := condition.imported_file)]
        return {"imported_file": files[0], "imported_tasks": self._tasks.count(request.scope)} if files else {}

    def _item_extras(self, request: ViewRequest, content: Content) -> Content:
        task = content["task"]
        extras = self._addable_events(request, content) | with_messages(request.query, [task])
        return extras | {"steps": step_tree(task["metadata"])}

    def read_list(self, request: ViewRequest) -> Content:
        paging = request.paging(SORTS)
        page = self._tasks.page(request.scope, request.extent, paging)
        return {"sort": paging.sort, "has_tasks": request.has_tasks, "similar": self._like_words(request, page)} | page

    def _like_words(self, request: ViewRequest, page: Content) -> list[Content]:
        """Return the tasks that mean what is searched for, beside those that have its words: on the first page."""
        words = request.scope.filters.q
        if not words or request.cursor() is not None:
            return []
        return self._similar.like_text(request.scope, words, {task["task_id"] for task in page["tasks"]})

    def read_similar(self, request: ViewRequest) -> Content:
        tasks = self._similar.like_task(request.scope, request.item_id)
        return {"task_id": request.item_id, "tasks": tasks, "has_tasks": request.has_tasks}

    def read_item(self, request: ViewRequest) -> Content:
        return self._tasks.task(request.project_id, request.item_id, LONG_TEXTS if request.is_page else WHOLE_TEXTS)


def _addable_events(registry: Registry, request: ViewRequest, _content: Content) -> Content:
    """
    Return the defined events, which a person may add to a task.

    Those of `addable_at_the_end` are of whole sessions, and may be added to the last task of one.
    """
    definitions = registry.definitions(request.project_id)
    return {
        "addable": [definition.name for definition in definitions if definition.scope != "session"],
        "addable_at_the_end": [definition.name for definition in definitions if definition.scope == "session"],
    }
