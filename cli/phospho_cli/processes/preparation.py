"""Logging and garbage collection of a long-running process."""

from __future__ import annotations

import gc
import logging
import sys

_PACKAGES = (
    "phospho_cli",
    "phospho_dashboard",
    "phospho_gateway",
    "phospho_schemas",
    "phospho_store",
    "phospho_web",
    "phospho_workers",
)
# Batches are thousands of small dictionaries, none of them in a cycle. With Python's own thresholds the collector
# walks them again and again: detection took 15 % longer (tests/benchmarks/detection_speed.py).
_COLLECT_AFTER_ALLOCATIONS = 100_000


def prepare_process(log_level: int) -> None:
    """Log to standard error, ours from `log_level` and libraries from WARNING, and collect garbage less often."""
    logging.basicConfig(
        level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s %(message)s", stream=sys.stderr
    )
    for package in _PACKAGES:
        logging.getLogger(package).setLevel(log_level)
    gc.freeze()
    gc.set_threshold(_COLLECT_AFTER_ALLOCATIONS, 50, 50)
