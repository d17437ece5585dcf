"""Tasks that run beside the apps of a process."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Coroutine

from phospho_workers.runtime import metrics

logger = logging.getLogger(__name__)

# It runs until it is cancelled.
BackgroundTask = Callable[[], Coroutine[None, None, None]]

_FIRST_BACKOFF_S = 1.0
_MAX_BACKOFF_S = 300.0


async def keep_running(name: str, task: BackgroundTask) -> None:
    """
    Run a task until cancelled, and restart it whenever it ends.

    An end is logged and counted, and the pause before a restart doubles up to 5 minutes. The apps of the process go on
    meanwhile: they don't depend on it.
    """
    backoff_s = _FIRST_BACKOFF_S
    while True:
        try:
            await task()
            logger.error("%s ended, and restarts in %.0f s", name, backoff_s)
        except Exception as error:
            # The edge of this task.
            logger.error("%s failed, and restarts in %.0f s", name, backoff_s, exc_info=error)
        metrics.BACKGROUND_FAILURES.labels(name).inc()
        await asyncio.sleep(backoff_s * random.uniform(0.5, 1.0))
        backoff_s = min(_MAX_BACKOFF_S, backoff_s * 2)
