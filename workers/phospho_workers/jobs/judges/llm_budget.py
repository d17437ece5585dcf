"""The daily budget of a project for its LLM."""

from __future__ import annotations

from phospho_schemas.messages import ProjectSettings
from phospho_store.annotations.judgements import Used


class LlmBudget:
    """The rest of a day's budget. Each attempt takes its maximum cost before the question is asked."""

    def __init__(self, settings: ProjectSettings, used: Used) -> None:
        self._tokens = settings.llm_daily_tokens - used.tokens
        self._usd = settings.llm_daily_usd - used.usd if settings.llm_daily_usd else float("inf")

    def take(self, tokens: int, usd: float, attempts: int) -> int:
        """Take the cost of up to `attempts` attempts of so much each, and return for how many there was budget."""
        taken = 0
        while taken < attempts and tokens <= self._tokens and usd <= self._usd:
            taken += 1
            self._tokens -= tokens
            self._usd -= usd
        return taken
