"""Events: the list of them, and one with its trend, scores and newest examples."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from phospho_dashboard.analytics.tasks import Tasks, task_list_extras
from phospho_dashboard.analytics.trends import bucket_times
from phospho_dashboard.layout.views import Content, Paging, View, ViewRequest
from phospho_dashboard.queries.filters import Scope, searched
from phospho_dashboard.queries.periods import Buckets
from phospho_dashboard.web.formats import with_times
from phospho_dashboard.web.urls import with_query
from phospho_schemas.definitions.validation import needs_session
from phospho_schemas.messages import EventDefinition
from phospho_store.registry.registry import Registry
from phospho_store.sql import compose
from phospho_store.sql.analysed import analysed, found_events
from phospho_store.store import Store
from phospho_web.problems import Problem

MAX_EVENTS = 1000
EXAMPLES = 12
SHOWN_BACKFILLS = 3
HISTOGRAM_BINS = 20

_COUNTS = """
SELECT toString(name) AS name, count() AS events, uniqExact(session) AS sessions, max(at_ms) AS last_at_ms
FROM
(
    SELECT arrayJoin(names) AS name, cityHash64(session_id) AS session, toUnixTimestamp64Milli(created_at) AS at_ms
    FROM $analysed
)
GROUP BY name ORDER BY events DESC, name LIMIT {most:UInt32}
"""
# A definition without events is listed too: zero is an answer.
_DEFINED = "SELECT name FROM definitions WHERE project_id = {project:String} ORDER BY name LIMIT {most:UInt32}"
_NO_EVENTS: dict[str, Any] = {"events": 0, "sessions": 0, "last_at_ms": None}
_TREND = """
SELECT
    toUInt8(grouping(bucket)) AS is_total,
    $bucket AS bucket,
    sum(is_task) AS tasks, sum(countEqual(names, {name:String})) AS events,
    uniqExactIf(cityHash64(session_id), has(names, {name:String})) AS sessions,
    uniqExact(cityHash64(session_id)) AS all_sessions
FROM $analysed
GROUP BY GROUPING SETS ((bucket), ())
"""
# The scores of detection and judgements, before people's labels: a threshold is chosen on these.
_SCORES = """
SELECT
    toUInt8(grouping(bin)) AS is_version, bin, definition_version, engine,
    count() AS events, avg(toInt32(round(score * 10000))) / 10000 AS mean_score
FROM
(
    SELECT least(toUInt32(greatest(score, 0) * {bins:UInt32}), {bins:UInt32} - 1) AS bin, score, definition_version,
        toString(engine) AS engine
    FROM $found_events
)
GROUP BY GROUPING SETS ((bin), (definition_version, engine))
"""
_MAX_VERSIONS = 20
# Definitions without an event for which the list counts the tasks that they were not run on.
_MAX_UNCHECKED = 20
_TOTALS = ("tasks", "events", "all_sessions", "sessions")

Row = dict[str, Any]


class Events:
    """Read the events of a project. Blocking."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def counts(self, scope: Scope) -> list[Row]:
        """Return `{"name", "events", "sessions", "last_at"}` of each event, the most frequent first."""
        counted = self._rows(_COUNTS, scope, most=MAX_EVENTS)
        names = {row["name"] for row in counted}
        defined = self._store.rows(_DEFINED, {"project": scope.project_id, "most": MAX_EVENTS})
        others = [_NO_EVENTS | row for row in defined if row["name"] not in names]
        return [with_times(row) for row in (counted + others)[:MAX_EVENTS]]

    def event(self, scope: Scope, name: str, buckets: Buckets) -> Row:
        """
        Return one event's `totals`, `trend` (a row a bucket), `scores` (bins of 0 to 1) and `by_version`.

        Of the totals, `tasks` and `all_sessions` count all analysed ones, `events` and `sessions` those with the event.
        """
        counted = self._rows(_TREND, scope, bucket=buckets.sql, name=name, **buckets.parameters)
        totals = next((row for row in counted if row["is_total"]), dict.fromkeys(_TOTALS, 0))
        trend = {row["bucket"]: row["events"] for row in counted if not row["is_total"]}
        of_name = found_events(scope, "task_id", of_name="name = {name:String}")
        parameters = scope.parameters(name=name, bins=HISTOGRAM_BINS)
        scored = self._store.rows(compose(_SCORES, found_events=of_name), parameters)
        scores = {row["bin"]: row["events"] for row in scored if not row["is_version"]}
        return {
            "totals": {name: totals[name] for name in _TOTALS},
            "step_ms": buckets.step_ms,
            "trend": [bucket_times(bucket) | {"events": trend.get(index, 0)} for index, bucket in enumerate(buckets)],
            "scores": [
                {"from": number / HISTOGRAM_BINS, "to": (number + 1) / HISTOGRAM_BINS, "events": scores.get(number, 0)}
                for number in range(HISTOGRAM_BINS)
            ],
            "by_version": _by_version(row for row in scored if row["is_version"]),
        }

    def _rows(self, sql: str, scope: Scope, *, bucket: str = "", **parameters: Any) -> list[Row]:
        parts = {"bucket": bucket, "analysed": analysed(scope, "created_at", "session_id")}
        return self._store.rows(compose(sql, **parts), scope.parameters(**parameters))


def _by_version(rows: Iterable[Row]) -> list[Row]:
    """Return the events of each version of a definition and engine, the newest first."""
    ordered = sorted(rows, key=lambda row: (-row["definition_version"], row["engine"]))[:_MAX_VERSIONS]
    return [{name: row[name] for name in ("definition_version", "engine", "events", "mean_score")} for row in ordered]


# Return the quality of a definition, its backfills by project and name, and its number of tasks to run it on.
QualityReader = Callable[[EventDefinition], Content]
BackfillReader = Callable[[str, str], list[Content]]
UncheckedTasksReader = Callable[[EventDefinition], int]


class EventPages:
    """The views of the list of events and of one event."""

    def __init__(
        self,
        store: Store,
        registry: Registry,
        *,
        quality: QualityReader,
        backfills: BackfillReader,
        unchecked_tasks: UncheckedTasksReader,
    ) -> None:
        self._store = store
        self._registry = registry
        self._quality = quality
        self._backfills = backfills
        self._unchecked_tasks = unchecked_tasks
        self._events = Events(store)
        self._tasks = Tasks(store)

    def views(self) -> list[View]:
        # Below /api/v1/events is the gateway's ingest.
        events = View(
            "events",
            "/events",
            "analytics/events.html",
            self.read_list,
            page_extras=self._list_extras,
            api_path="/event-stats",
        )
        event = replace(
            events, template="analytics/event.html", read=self.read_item, is_item=True, page_extras=_event_extras
        )
        return [events, event]

    def read_list(self, request: ViewRequest) -> Content:
        definitions = self._definitions(request.project_id)
        events = [
            row | {"definition": _as_json(definitions.get(row["name"]))}
            for row in self._events.counts(searched(self._store, request.scope))
        ]
        return {"events": events, "has_tasks": request.has_tasks}

    def _list_extras(self, request: ViewRequest, content: Content) -> Content:
        """Return how many existing tasks each definition without an event was not run on."""
        definitions = self._definitions(request.project_id)
        idle = [definitions[row["name"]] for row in content["events"] if row["definition"] and not row["events"]]
        unchecked = {definition.name: self._unchecked_tasks(definition) for definition in idle[:_MAX_UNCHECKED]}
        return {"unchecked_tasks": unchecked}

    def read_item(self, request: ViewRequest) -> Content:
        project_id, name = request.project_id, request.item_id
        definition = self._definitions(project_id).get(name)
        scope = searched(self._store, request.scope)
        event = self._events.event(scope, name, request.buckets())
        if definition is None and not event["totals"]["events"]:
            raise Problem(404, "unknown_event", f"there is no event {name!r} in this project")
        examples = self._tasks.page(scope.with_event(name), request.extent, Paging("newest", None, EXAMPLES))
        return {
            "name": name,
            "definition": _as_json(definition),
            "quality": self._quality(definition) if definition is not None else None,
            "backfills": self._backfills(project_id, name)[:SHOWN_BACKFILLS],
            "unchecked_tasks": self._unchecked_tasks(definition) if definition is not None else 0,
            **event,
            "has_tasks": request.has_tasks,
            "examples": examples["tasks"],
        }

    def _definitions(self, project_id: str) -> dict[str, EventDefinition]:
        return {definition.name: definition for definition in self._registry.definitions(project_id)}


def _as_json(definition: EventDefinition | None) -> Content | None:
    return definition.model_dump(mode="json") if definition is not None else None


def _event_extras(request: ViewRequest, content: Content) -> Content:
    """Return the place to label the event next, and the columns of its examples."""
    definition, name = content["definition"], content["name"]
    has_queue = definition is None or not needs_session(EventDefinition.model_validate(definition))
    queue = with_query("/definitions/queue", {"project": request.project_id, "name": name})
    label_path = queue if has_queue else request.url("/sessions", event=name)
    return {"has_queue": has_queue, "label_path": label_path} | task_list_extras(request, content)
