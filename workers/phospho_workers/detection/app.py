"""The detection worker: phospho.tasks → phospho.analyses and phospho.events. `faststream run` takes `app`."""

from __future__ import annotations

from phospho_schemas.settings import load
from phospho_schemas.topics import TASKS
from phospho_store.clickhouse import remote
from phospho_store.forgetting.tombstones import Tombstones
from phospho_store.registry.definition_sets import DefinitionRepository
from phospho_workers.detection.loader import BackgroundCache, DefinitionCache
from phospho_workers.detection.stage import Detection
from phospho_workers.runtime.dead_letters import DeadLetterLimit
from phospho_workers.runtime.producer import batch_producer
from phospho_workers.runtime.settings import WorkerSettings
from phospho_workers.runtime.stage_worker import StageWorker
from phospho_workers.runtime.stream import StreamApp, stream_app

HELP = "Reads tasks and writes, for each, its language, its sentiment and the events that its project has defined."

# Definitions are read in a second; a server that is silent for this long counts as unavailable.
_ANSWER_TIMEOUT_S = 10


def build(settings: WorkerSettings) -> StreamApp:
    """Return the worker, not started."""
    store = remote(settings.clickhouse, size=1, answer_timeout_s=_ANSWER_TIMEOUT_S)
    cache = BackgroundCache(DefinitionCache(DefinitionRepository(store)))
    stage = Detection(cache.current, Tombstones(store.sibling(1)))
    producer = batch_producer(settings.kafka, stage.name)
    worker = StageWorker(stage, producer, DeadLetterLimit(settings.max_dead_letters_in_a_row))
    app = stream_app(stage.name, [TASKS], worker=worker, settings=settings, help_text=HELP)
    app.asgi.after_shutdown(store.close)
    return app


def app() -> object:
    """Return the ASGI application, for `faststream run phospho_workers.detection.app:app --factory`."""
    return build(load(WorkerSettings)).asgi
