"""The health of the processes, by the metrics that each of them shows."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlsplit

from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

MetricsReader = Callable[[], Iterable[Metric]]

THIS_PROCESS = "this process"
_TIMEOUT_S = 2.0
_MAX_METRICS_BYTES = 4_000_000
_AT_ONCE = 8

MetricKind = Literal["lag", "work", "error"]


@dataclass(frozen=True)
class ProcessMetric:
    """
    A number shown for a process: a metric, summed over its series unless `total` says otherwise.

    `only` is a label and its value, to count no other series.
    """

    name: str
    metric: str
    kind: MetricKind
    total: Callable[[Sequence[float]], float] = sum
    only: tuple[str, str] | None = None


PROCESS_METRICS = (
    ProcessMetric("lag_messages", "phospho_consumer_lag_messages", "lag"),
    ProcessMetric("seconds_since_progress", "phospho_progress_age_seconds", "lag", max),
    ProcessMetric("seconds_since_job_step", "phospho_job_step_age_seconds", "lag", max),
    ProcessMetric("records_consumed", "phospho_records_consumed", "work"),
    ProcessMetric("messages_produced", "phospho_messages_produced", "work"),
    ProcessMetric("rows_inserted", "phospho_rows_inserted", "work"),
    ProcessMetric("accepted", "phospho_gateway_messages_accepted", "work"),
    ProcessMetric("events_detected", "phospho_events_detected", "work"),
    ProcessMetric("classifiers_trained", "phospho_classifiers_trained", "work"),
    ProcessMetric("sessions_analysed", "phospho_sessions_analysed", "work"),
    ProcessMetric("turns_analysed", "phospho_turns_analysed", "work"),
    ProcessMetric("tasks_backfilled", "phospho_tasks_backfilled", "work"),
    ProcessMetric("webhooks_delivered", "phospho_webhook_deliveries", "work", only=("outcome", "delivered")),
    ProcessMetric("judgements", "phospho_judgements", "work"),
    ProcessMetric("rejected", "phospho_gateway_messages_rejected", "error"),
    ProcessMetric("publish_failures", "phospho_gateway_publish_failures", "error"),
    ProcessMetric("dead_letters", "phospho_dead_letters", "error"),
    ProcessMetric("insert_retries", "phospho_insert_retries", "error"),
    ProcessMetric("consumer_errors", "phospho_consumer_errors", "error"),
    ProcessMetric("unexpected_errors", "phospho_gateway_unexpected_errors", "error"),
    ProcessMetric("failed_steps", "phospho_job_steps", "error", only=("outcome", "failed")),
    ProcessMetric("webhook_tries_failed", "phospho_webhook_deliveries", "error", only=("outcome", "retried")),
    ProcessMetric("webhooks_given_up", "phospho_webhook_deliveries", "error", only=("outcome", "dead")),
    ProcessMetric("failed_llm_calls", "phospho_llm_calls", "error", only=("outcome", "failed")),
)


class Processes:
    """
    Read the metrics of this process and of the others. Blocking: a process that has not answered after 2 s is down.

    `own_metrics` are those of this process. `metrics_urls` are the addresses of the others', read eight at once.
    """

    def __init__(self, own_metrics: MetricsReader | None, metrics_urls: Sequence[str]) -> None:
        self._own_metrics = own_metrics
        self._urls = tuple(metrics_urls)

    def read(self) -> list[dict[str, Any]]:
        """Return `{"name", "is_up", "error", "facts"}` of each process, without the metrics that it does not have."""
        own_process = [] if self._own_metrics is None else [_process(THIS_PROCESS, self._own_metrics())]
        if not self._urls:
            return own_process
        with ThreadPoolExecutor(min(_AT_ONCE, len(self._urls))) as threads:
            return own_process + list(threads.map(self._read_url, self._urls))

    def _read_url(self, url: str) -> dict[str, Any]:
        # Imported here: it takes a tenth of the imports of `phospho up`, which reads no other process.
        import httpx

        name = urlsplit(url).netloc
        try:
            # httpx bounds each read, not all of them: a server that drips bytes would hold the page up for hours.
            text = asyncio.run(asyncio.wait_for(self._text(url), _TIMEOUT_S))
            return _process(name, text_string_to_metric_families(text))
        except TimeoutError:
            return _down(name, f"it has not answered within {_TIMEOUT_S:g} s")
        except (httpx.HTTPError, ValueError) as error:
            reason = f"{type(error).__name__}: {error}".splitlines()[0]
            return _down(name, reason[:200])

    async def _text(self, url: str) -> str:
        """Return the body of a URL. Raises HTTPError, or ValueError for a body that is too large."""
        import httpx

        body = bytearray()
        client = httpx.AsyncClient(timeout=_TIMEOUT_S, trust_env=False)
        async with client, client.stream("GET", url) as response:
            response.raise_for_status()
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > _MAX_METRICS_BYTES:
                    raise ValueError(f"more than {_MAX_METRICS_BYTES} bytes of metrics")
        return body.decode("utf-8", "replace")


def _down(name: str, error: str) -> dict[str, Any]:
    return {"name": name, "is_up": False, "error": error, "facts": {}}


def _process(name: str, families: Iterable[Metric]) -> dict[str, Any]:
    by_name = {family.name: family for family in families}
    facts = {}
    for metric in PROCESS_METRICS:
        values = _values(metric, by_name[metric.metric]) if metric.metric in by_name else []
        if values:
            facts[metric.name] = metric.total(values)
    return {"name": name, "is_up": True, "error": "", "facts": facts}


def _values(metric: ProcessMetric, family: Metric) -> list[float]:
    """Return the values of the series that count, without the time at which a counter was made."""
    return [
        sample.value
        for sample in family.samples
        if not sample.name.endswith("_created")
        and (metric.only is None or sample.labels.get(metric.only[0]) == metric.only[1])
    ]
