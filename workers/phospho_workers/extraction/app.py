"""The extraction worker: phospho.raw-logs → phospho.tasks and phospho.feedback. `faststream run` takes `app`."""

from __future__ import annotations

from confluent_kafka import Producer

from phospho_schemas.settings import load
from phospho_schemas.topics import RAW_LOGS
from phospho_workers.extraction.stage import Extraction
from phospho_workers.runtime.deliveries import Deliveries, producer_config
from phospho_workers.runtime.settings import WorkerSettings
from phospho_workers.runtime.stream import StreamApp, stream_app
from phospho_workers.runtime.worker import StageWorker, UnreadableLimit

HELP = (
    "Reads logs and feedback as clients sent them and writes tasks and feedback. What it can't read is dead-lettered."
)


def build(settings: WorkerSettings) -> StreamApp:
    """Return the worker, wired and not started."""
    stage = Extraction()
    deliveries = Deliveries(Producer(producer_config(settings.kafka)), stage.name)
    worker = StageWorker(stage, deliveries, UnreadableLimit(settings.max_unreadable_in_a_row))
    return stream_app(stage.name, [RAW_LOGS], settings, worker, HELP)


def app() -> object:
    """Return the ASGI application, for `faststream run phospho_workers.extraction.app:app --factory`."""
    return build(load(WorkerSettings)).asgi
