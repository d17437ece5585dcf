"""The page of changes, its twin and endpoint; the dashboard has the first few of them."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from phospho_dashboard.analytics.api import filter_parameters
from phospho_dashboard.changes.changes import changes
from phospho_dashboard.changes.figures import FiguresReader
from phospho_dashboard.layout.views import Content, View, ViewRequest
from phospho_dashboard.queries.facets import Facets
from phospho_dashboard.queries.filters import Scope
from phospho_dashboard.services import ROWS, Services
from phospho_dashboard.web.cache import TimedCache
from phospho_dashboard.web.formats import iso_time
from phospho_web.openapi import ANY_OBJECT, Operation, nullable, object_schema

# The figures are of all tasks of two periods, and the dashboard refreshes every few seconds.
_TTL_S, _TTL_OF_DURATION = 15.0, 30


def changes_operations() -> list[Operation]:
    """Return the operations of the view."""
    changes = object_schema(["changes", "compared"], changes=ROWS, compared=nullable(ANY_OBJECT))
    description = "The most important first, with 95 % confidence for all of them together, however often read."
    return [
        Operation(
            "get",
            "/changes",
            "Differences from the period before",
            changes,
            description=description,
            parameters=filter_parameters(),
        )
    ]


class ChangesPage:
    """The view of changes."""

    def __init__(self, services: Services) -> None:
        self._figures = FiguresReader(services.store, services.settings.prices)
        self._facets = Facets(services.store)
        self._currency = services.settings.prices.currency
        self._cached = TimedCache(self._changes, ttl_s=_TTL_S, ttl_of_duration=_TTL_OF_DURATION)

    def views(self) -> list[View]:
        return [View("dashboard", "/changes", "changes/changes.html", self.read)]

    def read(self, request: ViewRequest) -> Content:
        return self.of(request) | {"has_tasks": request.has_tasks}

    def of(self, request: ViewRequest) -> Content:
        """Return the `changes` against the period before, `compared` with it; None of a time without a start."""
        before = request.scope.before(request.now_ms) if request.has_tasks else None
        if before is None:
            return {"changes": [], "compared": None}
        return self._cached.get((before, request.scope))

    def _changes(self, periods: tuple[Scope, Scope]) -> dict[str, Any]:
        before, now = periods
        older, newer = self._figures.both(before, now)
        titles = self._facets.themes(now.project_id)
        compared = {
            "from": iso_time(before.span.start_ms or 0),
            "to": iso_time(before.span.end_ms or 0),
            "sessions": older.sessions,
            "sessions_now": newer.sessions,
        }
        listed = changes(older, newer, titles, self._currency) if older.sessions and newer.sessions else []
        return {"changes": [asdict(change) for change in listed], "compared": compared}
