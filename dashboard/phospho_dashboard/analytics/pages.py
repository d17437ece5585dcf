"""What each page reads. Its template has the same name; `views.py` makes the page, its twin and the API out of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from phospho_dashboard.analytics import sessions as of_sessions
from phospho_dashboard.analytics import tasks as of_tasks
from phospho_dashboard.analytics import users as of_users
from phospho_dashboard.analytics.events import Events
from phospho_dashboard.analytics.overview import Overview
from phospho_dashboard.analytics.prices import Prices
from phospho_dashboard.analytics.sessions import Sessions
from phospho_dashboard.analytics.tasks import Tasks
from phospho_dashboard.analytics.trends import Trends
from phospho_dashboard.analytics.users import Users
from phospho_dashboard.analytics.versions import Versions
from phospho_dashboard.dead_letters.dead_letters import DeadLetters
from phospho_dashboard.definitions.backfills import BackfillDesk
from phospho_dashboard.definitions.quality import DefinitionQuality
from phospho_dashboard.health.freshness import freshness
from phospho_dashboard.layout.page_request import Asked
from phospho_dashboard.layout.views import View
from phospho_dashboard.queries.found import searched
from phospho_dashboard.queries.periods import buckets_of
from phospho_dashboard.web.urls import with_query
from phospho_schemas.definitions import needs_session
from phospho_schemas.messages import EventDefinition
from phospho_store.registry.registry import Registry
from phospho_store.store import Store
from phospho_web.problems import Problem

Content = dict[str, Any]

EXAMPLES = 12
SHOWN_BACKFILLS = 3
# As many as a chart has colors.
CHARTED_VERSIONS = 6

# What the list of tasks may show beside the input, how it reads, and what is there where nothing is chosen.
TASK_COLUMNS = {
    "output": "Output", "events": "Events", "sentiment": "Sentiment", "feedback": "Feedback", "language": "Language",
    "user": "User", "version": "Version", "model": "Model", "latency": "Latency", "tokens": "Tokens",
    "session": "Session", "time": "Time",
}  # fmt: skip
DEFAULT_TASK_COLUMNS = ("output", "events", "sentiment", "feedback", "latency", "time")
# What the list of sessions may show beside the first words.
SESSION_COLUMNS = {
    "session": "Session", "tasks": "Tasks", "users": "Users", "languages": "Languages", "feedback": "Feedback",
    "sentiment": "Sentiment", "events": "Events", "time": "Time",
}  # fmt: skip
DEFAULT_SESSION_COLUMNS = ("tasks", "users", "feedback", "sentiment", "events", "time")


class Pages:
    """The views of the pages, over one store."""

    def __init__(self, store: Store, registry: Registry, prices: Prices, backfills: BackfillDesk) -> None:
        self._store = store
        self._registry = registry
        self._backfills = backfills
        self._quality = DefinitionQuality(store)
        self._dead_letters = DeadLetters(store)
        self._overview = Overview(store, prices)
        self._sessions = Sessions(store)
        self._tasks = Tasks(store)
        self._events = Events(store)
        self._users = Users(store)
        self._versions = Versions(store, prices)
        self._trends = Trends(store)

    def views(self) -> list[View]:
        """Return every page, in the order of the navigation."""
        # Below /api/v1/events is the gateway's ingest.
        events = View("events", "/events", "analytics/events.html", self.events, api_path="/event-stats")
        return [
            View("dashboard", "/", "analytics/dashboard.html", self.dashboard, api_path="/dashboard"),
            View("sessions", "/sessions", "analytics/sessions.html", self.sessions, shown=_session_list),
            View("sessions", "/sessions", "analytics/session.html", self.session, has_items=True, shown=self._addable),
            View("tasks", "/tasks", "analytics/tasks.html", self.tasks, shown=_task_list),
            View("tasks", "/tasks", "analytics/task.html", self.task, has_items=True, shown=self._addable),
            events,
            replace(events, template="analytics/event.html", read=self.event, has_items=True, shown=_of_event),
            View("users", "/users", "analytics/users.html", self.users, shown=_sorted_by(of_users.SORTS)),
            View("versions", "/versions", "analytics/versions.html", self.versions),
        ]

    def dashboard(self, asked: Asked) -> Content:
        buckets = buckets_of(asked.scope.span, asked.extent, asked.now_ms)
        counts = self._overview.overview(searched(self._store, asked.scope), buckets)
        known = freshness(self._store, asked.project_id, asked.now_ms)
        letters = self._dead_letters.count(list(asked.letters_of), asked.scope.span)
        return counts | {"freshness": known | {"dead_letters": letters}, "has_tasks": _has_tasks(asked)}

    def sessions(self, asked: Asked) -> Content:
        sort = asked.sort(of_sessions.SORTS)
        page = self._sessions.page(asked.scope, asked.extent, sort, asked.cursor(), asked.limit())
        return {"sort": sort, "has_tasks": _has_tasks(asked)} | page

    def session(self, asked: Asked) -> Content:
        return self._sessions.transcript(asked.project_id, asked.item_id, asked.cursor())

    def tasks(self, asked: Asked) -> Content:
        sort = asked.sort(of_tasks.SORTS)
        page = self._tasks.page(asked.scope, asked.extent, sort, asked.cursor(), asked.limit())
        return {"sort": sort, "has_tasks": _has_tasks(asked)} | page

    def task(self, asked: Asked) -> Content:
        return self._tasks.task(asked.project_id, asked.item_id)

    def events(self, asked: Asked) -> Content:
        defined = {d.name: d for d in self._registry.definitions(asked.project_id)}
        known = [
            row | {"definition": defined[row["name"]].model_dump(mode="json") if row["name"] in defined else None}
            for row in self._events.counts(searched(self._store, asked.scope))
        ]
        return {"events": known, "has_tasks": _has_tasks(asked)}

    def event(self, asked: Asked) -> Content:
        name = asked.item_id
        defined = next((d for d in self._registry.definitions(asked.project_id) if d.name == name), None)
        buckets = buckets_of(asked.scope.span, asked.extent, asked.now_ms)
        scope = searched(self._store, asked.scope)
        event = self._events.event(scope, name, buckets)
        if defined is None and not event["totals"]["events"]:
            raise Problem(404, "unknown_event", f"there is no event {name!r} in this project")
        examples = self._tasks.page(scope.with_event(name), asked.extent, "newest", None, EXAMPLES)["tasks"]
        definition = defined.model_dump(mode="json") if defined else None
        quality = self._quality.of(defined) if defined else None
        backfills = self._backfills.of_event(asked.project_id, name)[:SHOWN_BACKFILLS]
        about = {"name": name, "definition": definition, "quality": quality, "backfills": backfills}
        return {**about, **event, "examples": examples}

    def _addable(self, asked: Asked, _: Content) -> Content:
        """
        Return the events that a person may add to a task: those that are defined at this moment.

        Those of `addable_at_the_end` are of whole sessions, and may be added to the last task of one.
        """
        defined = self._registry.definitions(asked.project_id)
        return {
            "addable": [one.name for one in defined if one.scope != "session"],
            "addable_at_the_end": [one.name for one in defined if one.scope == "session"],
        }

    def users(self, asked: Asked) -> Content:
        """Return a page of users; the first one has the charts as well, which are the same for all."""
        sort, cursor = asked.sort(of_users.SORTS), asked.cursor()
        scope = searched(self._store, asked.scope)
        page = {"sort": sort, "has_tasks": _has_tasks(asked)} | self._users.page(scope, sort, cursor, asked.limit())
        if cursor is not None:
            return page
        buckets = buckets_of(asked.scope.span, asked.extent, asked.now_ms)
        trend = {"step_ms": buckets.step_ms, "over_time": self._trends.users(scope, buckets)}
        return page | trend | {"tasks_per_user": self._trends.tasks_per_user(scope)}

    def versions(self, asked: Asked) -> Content:
        scope = searched(self._store, asked.scope)
        compared = self._versions.versions(scope, asked.query.get("base"))
        names = [row["version"] for row in compared["versions"]][:CHARTED_VERSIONS]
        buckets = buckets_of(asked.scope.span, asked.extent, asked.now_ms)
        over_time = self._trends.versions(scope, buckets, names) if len(names) > 1 else []
        return compared | {"step_ms": buckets.step_ms, "over_time": over_time, "has_tasks": _has_tasks(asked)}


def _has_tasks(asked: Asked) -> bool:
    """Return whether the project has a task at all: an empty page says what to do next."""
    return asked.extent.last_ms is not None


def _sorted_by(sorts: Mapping[str, tuple[str, str]]) -> Callable[[Asked, Content], Content]:
    labels = {name: label for name, (label, _) in sorts.items()}
    return lambda _asked, _content: {"sorts": labels}


def _session_list(asked: Asked, _: Content) -> Content:
    return _columns(asked, SESSION_COLUMNS, DEFAULT_SESSION_COLUMNS) | _sorted_by(of_sessions.SORTS)(asked, {})


def _task_list(asked: Asked, _: Content) -> Content:
    return _columns(asked, TASK_COLUMNS, DEFAULT_TASK_COLUMNS) | _sorted_by(of_tasks.SORTS)(asked, {})


def _of_event(asked: Asked, content: Content) -> Content:
    """Return what the page of an event shows beside its content: where to label it next, and its examples' columns."""
    definition, name = content["definition"], content["name"]
    has_queue = definition is None or not needs_session(EventDefinition.model_validate(definition))
    queue = with_query("/definitions/queue", {"project": asked.project_id, "name": name})
    label_path = queue if has_queue else asked.url("/sessions", event=name)
    return {"has_queue": has_queue, "label_path": label_path} | _task_list(asked, content)


def _columns(asked: Asked, known: Mapping[str, str], default: Sequence[str]) -> Content:
    """Return the columns of a list, those that are shown, and what its links keep of the choice; Problem 400."""
    if not known.keys() >= set(asked.columns):
        raise Problem(400, "invalid_columns", "there is no such column", f"some of: {', '.join(known)}")
    chosen = [name for name in known if name in (asked.columns or default)]
    kept = {"columns": None if chosen == list(default) else ",".join(chosen)}
    return {"all_columns": known, "shown_columns": chosen, "kept": kept}
