"""Jobs that run beside what a process serves, for as long as it does."""

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


async def kept_running(name: str, job: BackgroundTask) -> None:
    """
    Run a job until cancelled.

    One that ends, which none should, is logged and counted, and begun anew after a pause that doubles up to 5 min: what
    the process serves does not depend on it, and must not end with it.
    """
    backoff_s = _FIRST_BACKOFF_S
    while True:
        try:
            await job()
            logger.error("%s ended, and begins anew in %.0f s", name, backoff_s)
        except Exception as error:
            # The edge of this job.
            logger.error("%s failed, and begins anew in %.0f s", name, backoff_s, exc_info=error)
        metrics.BACKGROUND_FAILURES.labels(name).inc()
        await asyncio.sleep(backoff_s * random.uniform(0.5, 1.0))
        backoff_s = min(_MAX_BACKOFF_S, backoff_s * 2)
