"""Judgements, and the LLM calls behind them with their cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from phospho_schemas.rows.jobs import JudgementRow, LlmCallRow
from phospho_schemas.times import utc_now
from phospho_store.repository import Repository

_USED = """
SELECT sum(toUInt64(tokens_in) + tokens_out) AS tokens, sum(usd) AS usd FROM llm_call_rows FINAL
WHERE project_id = {project:String} AND created_at >= {day:DateTime64(3, 'UTC')}
    AND created_at < {day:DateTime64(3, 'UTC')} + INTERVAL 1 DAY
"""

_USAGE = """
SELECT toString(toDate(created_at)) AS day, model, countIf(outcome NOT IN ('skipped', 'reserved')) AS calls,
    countIf(outcome = 'answered') AS answered, countIf(outcome = 'no_answer') AS no_answer,
    countIf(outcome = 'refused') AS refused, countIf(outcome = 'failed') AS failed, sum(definitions) AS definitions,
    sum(toUInt64(tokens_in)) AS tokens_in, sum(toUInt64(tokens_out)) AS tokens_out, round(sum(usd), 6) AS usd
FROM llm_call_rows FINAL
WHERE project_id = {project:String} AND created_at >= {day:DateTime64(3, 'UTC')} - INTERVAL {days:UInt32} DAY
GROUP BY day, model ORDER BY day DESC, model
"""


# The server is the installation's: the call may be another project's, and only its outcome is shown.
_LAST_CALL = """
SELECT outcome, reason, model, formatDateTime(created_at, '%Y-%m-%dT%H:%i:%S.%fZ') AS at,
    if(left_alone_until > now64(3), formatDateTime(left_alone_until, '%Y-%m-%dT%H:%i:%S.%fZ'), NULL) AS left_alone_until
FROM llm_call_rows FINAL
WHERE created_at >= now64(3) - INTERVAL 1 DAY AND outcome NOT IN ('skipped', 'reserved')
ORDER BY revision DESC LIMIT 1
"""


@dataclass(frozen=True)
class Used:
    """The cost of a project's calls of one day; a call under way counts with the most that it may cost."""

    tokens: int
    usd: float


class JudgementRepository(Repository):
    """Judgements, and the calls behind them."""

    def save_judgements(self, judgements: Sequence[JudgementRow]) -> None:
        """Store judgements, all or none; one on the same content replaces the one before."""
        self._save("judgement_rows", judgements)

    def save_calls(self, calls: Sequence[LlmCallRow]) -> None:
        """Store calls, all or none; the actual cost of a call replaces its reservation."""
        self._save("llm_call_rows", calls)

    def used(self, project_id: str, day: date) -> Used:
        """Return what a project has used of the budget of one day (UTC)."""
        [row] = self._store.rows(_USED, {"project": project_id, "day": _midnight(day)})
        return Used(int(row["tokens"]), float(row["usd"]))

    def usage(self, project_id: str, days: int) -> list[dict[str, Any]]:
        """Return calls, tokens and money of the last days, today among them, by day (UTC) and model; newest first."""
        today = utc_now().date()
        return self._store.rows(_USAGE, {"project": project_id, "day": _midnight(today), "days": days - 1})

    def last_call(self) -> dict[str, Any] | None:
        """
        Return how the latest call of the last 24 hours ended, of all projects; None where there was none.

        `left_alone_until` is when a server that fails is asked again, and None where that is now.
        """
        return next(iter(self._store.rows(_LAST_CALL)), None)


def _midnight(day: date) -> str:
    return f"{day:%Y-%m-%d} 00:00:00.000"
