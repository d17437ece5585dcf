"""What second opinions of an LLM cost a project, by day, and what is left of today's budget."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from phospho_schemas.messages import ProjectSettings
from phospho_store.registry import Registry
from phospho_store.store import Store
from phospho_store.verdicts import VerdictBook


class LlmUsage:
    """Reads what was used. Blocking; raises what the store raises."""

    def __init__(self, store: Store, registry: Registry) -> None:
        self._book = VerdictBook(store)
        self._registry = registry

    def of(self, project_id: str, days: int) -> dict[str, Any]:
        """Return `budget` and `used_today`, and `days`: a row for each day (UTC) and model, the newest first."""
        project = self._registry.project(project_id)
        settings = project.settings if project else ProjectSettings()
        used = self._book.used(project_id, datetime.now(UTC).date())
        return {
            "budget": {"llm_daily_tokens": settings.llm_daily_tokens, "llm_daily_usd": settings.llm_daily_usd},
            "used_today": {"tokens": used.tokens, "usd": round(used.usd, 6)},
            "days": self._book.usage(project_id, days),
        }
