"""How the pipeline does: what ClickHouse says of a project's last minutes, and what the processes say of themselves."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlsplit

import httpx
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from phospho_dashboard.dead_letters.dead_letters import DeadLetters
from phospho_dashboard.health.freshness import freshness
from phospho_dashboard.health.stages import Stages
from phospho_dashboard.queries.periods import Span
from phospho_store.store import Store

Metrics = Callable[[], Iterable[Metric]]

THIS_PROCESS = "this process"
_TIMEOUT_S = 2.0
_MAX_METRICS_BYTES = 4_000_000
_AT_ONCE = 8

# When rows arrived, which no view shows: the tables themselves, without FINAL, since a row that came twice came twice.
_THROUGHPUT = """
SELECT
    countIf(inserted_at >= now64(3) - INTERVAL 1 MINUTE) AS last_minute,
    countIf(inserted_at >= now64(3) - INTERVAL 15 MINUTE) AS last_15_minutes,
    count() AS last_hour
FROM task_rows
WHERE project_id = {project:String} AND inserted_at >= now64(3) - INTERVAL 1 HOUR
"""
_DEAD_LETTERS = """
SELECT stage, reason, count() AS dead_letters, toUnixTimestamp64Milli(max(received_at)) AS last_at_ms
FROM dead_letter_rows FINAL
WHERE project_id IN {projects:Array(String)}
GROUP BY stage, reason
ORDER BY dead_letters DESC, stage, reason
LIMIT 100
"""

FactKind = Literal["lag", "work", "error"]


@dataclass(frozen=True)
class Fact:
    """
    What is told of a process: the metric, summed over its series unless `total` says otherwise.

    `only` is a label and its value, where no other series count.
    """

    name: str
    metric: str
    kind: FactKind
    total: Callable[[Sequence[float]], float] = sum
    only: tuple[str, str] | None = None


FACTS = (
    Fact("lag_messages", "phospho_consumer_lag_messages", "lag"),
    Fact("seconds_since_progress", "phospho_seconds_since_progress", "lag", max),
    Fact("seconds_since_job_step", "phospho_job_step_age_seconds", "lag", max),
    Fact("records_consumed", "phospho_records_consumed", "work"),
    Fact("messages_produced", "phospho_messages_produced", "work"),
    Fact("rows_inserted", "phospho_rows_inserted", "work"),
    Fact("accepted", "phospho_gateway_messages_accepted", "work"),
    Fact("events_detected", "phospho_events_detected", "work"),
    Fact("classifiers_trained", "phospho_classifiers_trained", "work"),
    Fact("sessions_analysed", "phospho_sessions_analysed", "work"),
    Fact("turns_analysed", "phospho_turns_analysed", "work"),
    Fact("tasks_backfilled", "phospho_tasks_backfilled", "work"),
    Fact("webhooks_delivered", "phospho_webhook_deliveries", "work", only=("outcome", "delivered")),
    Fact("judgements", "phospho_judgements", "work"),
    Fact("rejected", "phospho_gateway_messages_rejected", "error"),
    Fact("publish_failures", "phospho_gateway_publish_failures", "error"),
    Fact("dead_letters", "phospho_dead_letters", "error"),
    Fact("insert_retries", "phospho_insert_retries", "error"),
    Fact("consumer_errors", "phospho_consumer_errors", "error"),
    Fact("unexpected_errors", "phospho_gateway_unexpected_errors", "error"),
    Fact("failed_steps", "phospho_job_steps", "error", only=("outcome", "failed")),
    Fact("webhook_tries_failed", "phospho_webhook_deliveries", "error", only=("outcome", "retried")),
    Fact("webhooks_given_up", "phospho_webhook_deliveries", "error", only=("outcome", "dead")),
    Fact("failed_llm_calls", "phospho_llm_calls", "error", only=("outcome", "failed")),
)


class Health:
    """
    Reads the health. Blocking: a process that has not answered in whole after 2 s is told as down, eight at once.

    `own_metrics` are those of this process; `metrics_urls` are where the other processes show theirs.
    """

    def __init__(
        self,
        store: Store,
        own_metrics: Metrics | None,
        metrics_urls: Sequence[str],
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._store = store
        self._stages = Stages(store)
        self._own_metrics = own_metrics
        self._urls = tuple(metrics_urls)
        self._transport = transport

    def of_project(self, project_id: str, projects: list[str]) -> dict[str, Any]:
        """Return freshness, throughput and the stages of a project, and the dead letters of `projects` by reason."""
        fresh = freshness(self._store, project_id, time.time_ns() // 1_000_000)
        fresh["dead_letters"] = DeadLetters(self._store).count(projects, Span())
        [throughput] = self._store.rows(_THROUGHPUT, {"project": project_id})
        letters = self._store.rows(_DEAD_LETTERS, {"projects": projects})
        stages = self._stages.of_project(project_id, fresh["backlog_tasks"])
        told = {"project_id": project_id, "freshness": fresh, "rows": throughput}
        return told | {"stages": stages, "dead_letters": letters}

    def processes(self) -> list[dict[str, Any]]:
        """Return `{"name", "is_up", "error", "facts"}` of each process; a fact that it does not have is left out."""
        own = [] if self._own_metrics is None else [_process(THIS_PROCESS, self._own_metrics())]
        if not self._urls:
            return own
        with ThreadPoolExecutor(min(_AT_ONCE, len(self._urls))) as threads:
            return own + list(threads.map(self._asked, self._urls))

    def _asked(self, url: str) -> dict[str, Any]:
        name = urlsplit(url).netloc
        try:
            # httpx bounds each read, not all of them: who drips bytes would hold the page up for hours.
            text = asyncio.run(asyncio.wait_for(self._text(url), _TIMEOUT_S))
            return _process(name, text_string_to_metric_families(text))
        except TimeoutError:
            reason = f"it has not answered within {_TIMEOUT_S:g} s"
            return {"name": name, "is_up": False, "error": reason, "facts": {}}
        except (httpx.HTTPError, ValueError) as error:
            reason = f"{type(error).__name__}: {error}".splitlines()[0]
            return {"name": name, "is_up": False, "error": reason[:200], "facts": {}}

    async def _text(self, url: str) -> str:
        """Return what stands at a URL. Raises HTTPError, or ValueError for too much of it."""
        body = bytearray()
        client = httpx.AsyncClient(timeout=_TIMEOUT_S, trust_env=False, transport=self._transport)
        async with client, client.stream("GET", url) as answer:
            answer.raise_for_status()
            async for chunk in answer.aiter_bytes():
                body += chunk
                if len(body) > _MAX_METRICS_BYTES:
                    raise ValueError(f"more than {_MAX_METRICS_BYTES} bytes of metrics")
        return body.decode("utf-8", "replace")


def _process(name: str, families: Iterable[Metric]) -> dict[str, Any]:
    known = {family.name: family for family in families}
    values = {fact.name: _values(fact, known[fact.metric]) for fact in FACTS if fact.metric in known}
    facts = {fact.name: fact.total(values[fact.name]) for fact in FACTS if values.get(fact.name)}
    return {"name": name, "is_up": True, "error": "", "facts": facts}


def _values(fact: Fact, family: Metric) -> list[float]:
    """Return the values of the series of a fact, without the time at which a counter was made."""
    return [
        sample.value
        for sample in family.samples
        if not sample.name.endswith("_created")
        and (fact.only is None or sample.labels.get(fact.only[0]) == fact.only[1])
    ]
