"""
`python -m benchmarks.alerts --tasks 500000`: what an evaluation of an alert costs, and its preview over 30 days.

The tasks are spread evenly over 30 days, with an analysis each, one event in twenty.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from datetime import UTC, datetime

from phospho_schemas.rows.alerts import Alert, last_due
from phospho_store.alerts.readings import ReadingReader
from phospho_store.migrations import migrate
from phospho_store.store import Store, embedded

_SPREAD = "now64(3, 'UTC') - toIntervalMillisecond(intDiv(2592000000, {tasks:UInt64}) * number) AS created_at"
_ROWS = f"""
SELECT 'shop' AS project_id, toString(generateUUIDv4()) AS task_id, 1 AS revision, {_SPREAD},
    concat('s', toString(intDiv(number, 4))) AS session_id
"""
_TASKS = f"""
INSERT INTO task_rows (project_id, task_id, revision, created_at, session_id, input, output, latency_ms, model, flag)
{_ROWS}, 'hello', 'hi', rand() % 5000, 'm', if(rand(1) % 10 = 0, 'success', '') FROM numbers({{tasks:UInt64}})
"""
_ANALYSES = """
INSERT INTO analysis_rows (project_id, task_id, revision, created_at, session_id, sentiment, events)
SELECT project_id, task_id, 1, created_at, session_id, 'neutral',
    JSONExtract(if(rand() % 20 = 0, '[{"name": "refund"}]', '[]'), {type:String}) FROM task_rows
"""


def _timed(store: Store, alert: Alert, count: int) -> float:
    reader, at = ReadingReader(store, {}), last_due(alert, store.now_ms())
    begun_s = time.perf_counter()
    reader.readings(alert, at, count)
    return time.perf_counter() - begun_s


def main() -> None:
    """Print a line for each metric and window."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=500_000)
    tasks = parser.parse_args().tasks
    with tempfile.TemporaryDirectory() as folder:
        store = embedded(f"{folder}/store")
        list(migrate(store))
        store.command(_TASKS, {"tasks": tasks})
        [events] = store.rows("SELECT type FROM system.columns WHERE table = 'analysis_rows' AND name = 'events'")
        store.command(_ANALYSES, {"type": events["type"]})
        for metric in ("tasks", "latency_p95", "event_rate", "success_rate"):
            for minutes in (5, 60, 1440):
                alert = Alert(
                    project_id="shop", alert_id="a", name="A", metric=metric, condition="above",
                    subject="refund" if metric == "event_rate" else "", window_minutes=minutes,
                    created_at=datetime.now(UTC),
                )  # fmt: skip
                evaluation_s = min(_timed(store, alert, 1) for _ in range(3))
                preview_s = _timed(store, alert, 30 * 86_400_000 // alert.step_ms)
                print(f"{metric:>13} over {minutes:>4} min: {1000 * evaluation_s:6.0f} ms, preview {preview_s:5.1f} s")
        store.close()


if __name__ == "__main__":
    main()
