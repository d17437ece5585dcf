"""Themes as pages and the API show them: the list, and one with its examples, events and history."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, cast, get_args

from phospho_dashboard.analytics.tasks import Tasks
from phospho_dashboard.analytics.trends import bucket_times
from phospho_dashboard.layout.views import Content, Paging, ViewRequest
from phospho_dashboard.queries.filters import Scope, searched
from phospho_dashboard.themes.figures import NONE, ThemeFigures
from phospho_schemas.rows.themes import ThemeFact, ThemeSide
from phospho_store.registry.themes import ThemeRepository
from phospho_store.store import Store
from phospho_web.problems import Problem

_EXAMPLES = 6
_NEWEST = 12
_DAY_MS = 86_400_000
# A theme is new for so long.
_NEW_MS = 7 * _DAY_MS
_MIN_GROUPED = 12
# A theme is covered where so many of its tasks have one event.
_COVERED_SHARE = 0.5
_MAX_SUGGESTIONS = 5

SORTS = {
    "largest": "Most tasks first",
    "growing": "Growing first",
    "negative": "Most negative first",
    "failures": "Lowest success rate first",
    "newest": "Newest first",
}

Row = dict[str, Any]


class Themes:
    """Reads themes. Blocking; raises Problem and what the store raises."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._figures = ThemeFigures(store)
        self._repository = ThemeRepository(store)
        self._tasks = Tasks(store)

    def listed(self, request: ViewRequest) -> Content:
        """Return the themes of the request's tasks by one of SORTS, and the state of discovery."""
        sort, side, scope = request.sort(SORTS), _side(request), searched(self._store, request.scope)
        of_both = self._figures.themes(request.project_id)
        themes = {name: theme for name, theme in of_both.items() if theme["side"] == side}
        reader = self._figures.of_side(side)
        figures, trends = reader.of_scope(scope), reader.trends(scope, request.buckets())
        changes = reader.changes(scope, figures, request.now_ms)
        total = sum(row["tasks"] for row in figures.values())
        rows = [
            _row(theme, figures.get(name), total, request.now_ms)
            | {"change": changes.get(name, ""), "trend": trends.get(name, [])}
            for name, theme in themes.items()
            if not theme["merged_into"]
        ]
        rows = [row for row in rows if row["tasks"] or row["is_pinned"] or not scope.filters.narrowing()]
        shown = _sort_rows((row for row in rows if not row["is_hidden"]), sort)
        return {
            "sort": sort,
            "side": side,
            "has_output_themes": any(theme["side"] == "output" for theme in of_both.values()),
            "themes": shown,
            "groups": _groups(shown),
            "suggestions": _suggestions(shown, reader.covered(scope)),
            "hidden": [{"theme_id": row["theme_id"], "title": row["title"]} for row in rows if row["is_hidden"]],
            "tasks": total,
            "without_theme": figures.get("", {}).get("tasks", 0),
            "step_ms": request.buckets().step_ms,
            "has_tasks": request.has_tasks,
            **self._state(request.project_id),
        }

    def detail(self, request: ViewRequest) -> Content:
        """Return one theme with its figures, examples, events, history and similar themes; Problem 404."""
        project_id, theme_id = request.project_id, request.item_id
        themes = self._figures.themes(project_id)
        facts = self._repository.facts(project_id)
        theme = themes.get(theme_id)
        if theme is None:
            raise Problem(
                404, "unknown_theme", f"there is no theme {theme_id!r} in this project", _heir(facts, theme_id)
            )
        scope = searched(self._store, request.scope)
        reader = self._figures.of_side(theme["side"])
        figures = reader.of_scope(scope)
        total = sum(row["tasks"] for row in figures.values())
        own = of_theme(scope, theme_id)
        buckets = request.buckets()
        counts = reader.trends(own, buckets).get(theme_id, [0] * buckets.count)
        parts = [row for row in themes.values() if row["merged_into"] == theme_id]
        newest = self._tasks.page(own, request.extent, Paging("newest", None, _NEWEST))
        return {
            "theme": _row(theme, figures.get(theme_id), total, request.now_ms)
            | {"change": reader.changes(scope, figures, request.now_ms).get(theme_id, "")},
            "phrases": theme["phrases"],
            "merged_into": theme["merged_into"],
            "parts_of": [{"theme_id": row["theme_id"], "title": row["title"]} for row in parts],
            "others": _other_themes(themes, theme),
            "step_ms": buckets.step_ms,
            "trend": [bucket_times(bucket) | {"tasks": counts[index]} for index, bucket in enumerate(buckets)],
            "events": self._figures.events(own),
            "examples": self._tasks.previews(project_id, theme["examples"][:_EXAMPLES]),
            "newest": newest["tasks"],
            "history": _history(facts, themes, theme_id),
            "has_tasks": request.has_tasks,
        }

    def _state(self, project_id: str) -> Row:
        """Return the version of the model, and the progress of giving its themes to past tasks."""
        model, run = self._repository.model(project_id), self._repository.run(project_id)
        refresh = self._repository.refresh(project_id)
        is_waiting = refresh is not None and (model is None or refresh.requested_at > model.created_at)
        is_running = run is not None and run.status != "done"
        return {
            "model_version": model.version if model is not None else 0,
            "found_at": model.created_at.isoformat() if model is not None else None,
            "is_refreshing": is_waiting,
            "assigned": {"tasks_done": run.tasks_done, "tasks": run.tasks} if run is not None and is_running else None,
        }


def _side(request: ViewRequest) -> ThemeSide:
    """Return the side of the tasks whose themes are asked for; Problem 400 for another."""
    side = request.query.get("side") or "input"
    if side not in get_args(ThemeSide):
        raise Problem(
            400, "invalid_side", "there are no themes of that side", f"one of: {', '.join(get_args(ThemeSide))}"
        )
    return cast(ThemeSide, side)


def of_theme(scope: Scope, theme_id: str) -> Scope:
    """Return those of the tasks that count for a theme."""
    return replace(scope, filters=replace(scope.filters, theme=theme_id))


def _row(theme: Row, figures: Row | None, total: int, now_ms: int) -> Row:
    counts = figures or NONE
    flagged, felt = counts["successes"] + counts["failures"], counts["positive"] + counts["negative"]
    created_ms = _milliseconds(theme["created_at"])
    names = ("theme_id", "side", "title", "group_id", "group_title", "is_hidden", "is_pinned", "x", "y")
    return {
        **{name: theme[name] for name in names},
        **counts,
        "share": counts["tasks"] / total if total else 0.0,
        "negative_share": counts["negative"] / counts["tasks"] if counts["tasks"] and felt else None,
        "success_rate": counts["successes"] / flagged if flagged else None,
        "created_at": theme["created_at"].replace(" ", "T") + "Z",
        "is_new": now_ms - created_ms < _NEW_MS and theme["is_later"],
    }


def _milliseconds(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def _sort_rows(rows: Iterable[Row], sort: str) -> list[Row]:
    """Return rows in the order of a sort, pinned ones first."""
    keys: dict[str, Callable[[Row], float]] = {
        "largest": lambda row: -row["tasks"],
        "growing": lambda row: {"growing": 0, "": 1, "shrinking": 2}[row["change"]],
        "negative": lambda row: -(row["negative_share"] or 0.0),
        "failures": lambda row: 2.0 if row["success_rate"] is None else row["success_rate"],
        "newest": lambda row: -_milliseconds(row["created_at"][:-1]),
    }
    return sorted(rows, key=lambda row: (not row["is_pinned"], keys[sort](row), -row["tasks"], row["theme_id"]))


def _groups(rows: list[Row]) -> list[Row]:
    """Return the groups of themes, the largest first; none of a few themes, or where no group has several."""
    tasks: dict[str, int] = {}
    for row in rows:
        tasks[row["group_id"]] = tasks.get(row["group_id"], 0) + row["tasks"]
    if len(rows) < _MIN_GROUPED or len(tasks) >= len(rows):
        return []
    titles = {row["group_id"]: row["group_title"] for row in rows}
    ids = sorted(tasks, key=lambda group_id: (-tasks[group_id], group_id))
    return [
        {
            "group_id": group_id,
            "title": titles[group_id],
            "tasks": tasks[group_id],
            "theme_ids": [row["theme_id"] for row in rows if row["group_id"] == group_id],
        }
        for group_id in ids
    ]


def _suggestions(rows: list[Row], covered: Mapping[str, int]) -> list[Row]:
    """Return the largest themes that no definition covers: what to define next."""
    open_rows = [
        row for row in rows if row["tasks"] and covered.get(row["theme_id"], 0) < _COVERED_SHARE * row["tasks"]
    ]
    open_rows.sort(key=lambda row: (-row["tasks"], row["theme_id"]))
    return [
        {name: row[name] for name in ("theme_id", "title", "tasks", "share")} for row in open_rows[:_MAX_SUGGESTIONS]
    ]


def _other_themes(themes: Mapping[str, Row], theme: Row) -> list[Row]:
    """Return the other themes, those of the same group first: what it may be merged into."""
    rows = [
        row
        for name, row in themes.items()
        if name != theme["theme_id"] and row["side"] == theme["side"] and not row["merged_into"]
    ]
    rows.sort(key=lambda row: (row["group_id"] != theme["group_id"], row["title"]))
    return [
        {"theme_id": row["theme_id"], "title": row["title"], "is_similar": row["group_id"] == theme["group_id"]}
        for row in rows
    ]


def _history(facts: list[ThemeFact], themes: Mapping[str, Row], theme_id: str) -> list[Row]:
    """Return the changes of a theme, and of those that came from it or went into it, the newest first."""
    return [
        {
            "kind": fact.kind,
            "version": fact.version,
            "theme_id": fact.theme_id,
            "other_id": fact.other_id,
            "title": themes[fact.theme_id]["title"] if fact.theme_id in themes else "",
            "other_title": themes[fact.other_id]["title"] if fact.other_id in themes else "",
            "share": fact.share,
            "created_at": fact.created_at.isoformat(),
        }
        for fact in facts
        if theme_id in (fact.theme_id, fact.other_id)
    ]


def _heir(facts: list[ThemeFact], theme_id: str) -> str:
    heirs = [fact.other_id for fact in facts if fact.kind == "merge" and fact.theme_id == theme_id]
    return f"most of its tasks are in {heirs[0]}" if heirs else "GET /api/v1/themes lists them"
