"""What every long-running process does first."""

from __future__ import annotations

import gc
import logging
import sys

# Batches are thousands of small dictionaries, none of them in a cycle. With Python's own thresholds the collector
# walks them again and again: detection took 15 % longer (tests/benchmarks/detection_speed.py).
_COLLECT_AFTER_ALLOCATIONS = 100_000


def prepare_process(log_level: int) -> None:
    """Set up logging to standard error, and a garbage collector that suits batches."""
    logging.basicConfig(level=log_level, format="%(asctime)s %(levelname)s %(name)s %(message)s", stream=sys.stderr)
    gc.freeze()
    gc.set_threshold(_COLLECT_AFTER_ALLOCATIONS, 50, 50)
