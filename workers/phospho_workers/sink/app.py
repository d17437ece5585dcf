"""The sink worker: four topics → ClickHouse. `faststream run` takes `app`."""

from __future__ import annotations

from dataclasses import replace

from phospho_schemas.settings import load
from phospho_store.clickhouse import remote
from phospho_workers.runtime.producer import batch_producer
from phospho_workers.runtime.settings import WorkerSettings
from phospho_workers.runtime.stream import StreamApp, stream_app
from phospho_workers.sink.planner import STAGE, TABLES
from phospho_workers.sink.worker import SinkWorker

HELP = "Inserts tasks, analyses, feedback and dead letters into ClickHouse: the bytes as they are, each row once."

# Larger and rarer batches than the stages': an insert costs the same for one row and for a thousand.
_LINGER_S = 0.15
_MAX_BATCH_RECORDS = 50_000
_PREFETCH_KBYTES = 49_152


def build(settings: WorkerSettings) -> StreamApp:
    """Return the worker, not started."""
    settings = replace(
        settings, linger_s=_LINGER_S, max_batch_records=_MAX_BATCH_RECORDS, prefetch_kbytes=_PREFETCH_KBYTES
    )
    producer = batch_producer(settings.kafka, STAGE)
    store = remote(settings.clickhouse)
    worker = SinkWorker(store, producer)
    app = stream_app(STAGE, list(TABLES), worker=worker, settings=settings, help_text=HELP)
    app.asgi.after_shutdown(store.close)
    return app


def app() -> object:
    """Return the ASGI application, for `faststream run phospho_workers.sink.app:app --factory`."""
    return build(load(WorkerSettings)).asgi
