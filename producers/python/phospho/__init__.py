"""Log what goes in and out of your LLM app, without ever getting in its way."""
# ruff: noqa: F401

from typing import TYPE_CHECKING

from ._capture.generators import MutableAsyncGenerator, MutableGenerator
from ._capture.streams import wrap_iterable as _wrap_iterable
from ._capture.trace import trace, tracer
from ._default.functions import (
    clear_event,
    confirm_event,
    feedback,
    flush,
    init,
    log,
    new_session,
    new_task,
    reject_event,
    stats,
    user_feedback,
)
from ._default.functions import log_single_event as _log_single_event
from ._default.wrap import wrap
from ._default.wrap import wrap_function as _wrap
from ._delivery.counters import Stats
from ._delivery.flushes import FlushResult
from ._delivery.recording import RecordingTransport
from ._delivery.transport import Outcome, Transport
from ._logger import logger
from ._version import __version__ as __version__
from .client import Client
from .config import Limits, RetryPolicy
from .errors import APIError, ConfigError, NotFoundError, NotInitializedError, PhosphoError, SendError

if TYPE_CHECKING:
    from . import client as client
    from . import collection as collection
    from . import extractor as extractor
    from . import integrations as integrations
    from . import lab as lab
    from . import models as models
    from . import query as query
    from . import sessions as sessions
    from . import tasks as tasks
    from . import testing as testing
    from . import utils as utils
    from ._default.attributes import consumer as consumer
    from ._default.attributes import latest_session_id as latest_session_id
    from ._default.attributes import latest_task_id as latest_task_id
    from ._default.attributes import log_queue as log_queue
    from ._default.attributes import spans_to_export as spans_to_export
    from .testing import PhosphoTest as PhosphoTest
else:
    from ._default.attributes import module_attribute as __getattr__
    from ._default.attributes import module_names as __dir__

__all__ = [
    "APIError",
    "Client",
    "ConfigError",
    "FlushResult",
    "Limits",
    "MutableAsyncGenerator",
    "MutableGenerator",
    "NotFoundError",
    "NotInitializedError",
    "Outcome",
    "PhosphoError",
    "RecordingTransport",
    "RetryPolicy",
    "SendError",
    "Stats",
    "Transport",
    "_log_single_event",
    "_wrap",
    "_wrap_iterable",
    "clear_event",
    "confirm_event",
    "feedback",
    "flush",
    "init",
    "log",
    "logger",
    "new_session",
    "new_task",
    "reject_event",
    "stats",
    "trace",
    "tracer",
    "user_feedback",
    "wrap",
]
