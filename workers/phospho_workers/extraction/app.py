"""The extraction worker: phospho.raw-logs → phospho.tasks and phospho.feedback. `faststream run` takes `app`."""

from __future__ import annotations

from phospho_schemas.settings import load
from phospho_schemas.topics import RAW_LOGS
from phospho_workers.extraction.stage import Extraction
from phospho_workers.runtime.dead_letters import DeadLetterLimit
from phospho_workers.runtime.producer import batch_producer
from phospho_workers.runtime.settings import WorkerSettings
from phospho_workers.runtime.stage_worker import StageWorker
from phospho_workers.runtime.stream import StreamApp, stream_app

HELP = "Turns logs and feedback of clients into tasks and feedback; a log that it can't read becomes a dead letter."


def build(settings: WorkerSettings) -> StreamApp:
    """Return the worker, not started."""
    stage = Extraction()
    producer = batch_producer(settings.kafka, stage.name)
    worker = StageWorker(stage, producer, DeadLetterLimit(settings.max_dead_letters_in_a_row))
    return stream_app(stage.name, [RAW_LOGS], worker=worker, settings=settings, help_text=HELP)


def app() -> object:
    """Return the ASGI application, for `faststream run phospho_workers.extraction.app:app --factory`."""
    return build(load(WorkerSettings)).asgi
