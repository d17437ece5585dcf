"""The greatest stored revision, after which a process continues: a clock that was ahead may have been set right."""

from __future__ import annotations

import asyncio
import logging

from phospho_schemas.ids import MAX_OBSERVED_REVISION, HybridClock
from phospho_store.errors import StoreError
from phospho_store.sql import compose
from phospho_store.store import DATABASE, Store

logger = logging.getLogger(__name__)

_TABLES = f"""
SELECT table FROM system.columns WHERE database = '{DATABASE}' AND name = 'revision' AND endsWith(table, '_rows')
"""
_LAST_OF_TABLE = f"SELECT max(revision) AS last FROM $table WHERE revision < {MAX_OBSERVED_REVISION}"
_OBSERVE_EVERY_S = 3600.0


def last_revision(store: Store) -> int:
    """Return the greatest revision of all rows, without those that no clock can have drawn."""
    queries = [compose(_LAST_OF_TABLE, table=row["table"]) for row in store.rows(_TABLES)]
    rows = store.rows(" UNION ALL ".join(queries)) if queries else []
    return max((int(row["last"]) for row in rows), default=0)


def observe_stored(clock: HybridClock, store: Store) -> None:
    """Make the clock continue after all stored revisions. Without an answer it goes on from the wall clock."""
    try:
        clock.observe(last_revision(store))
    except StoreError as error:
        logger.warning("the last revision can't be read; revisions follow this machine's clock for now: %s", error)


async def observe_hourly(clock: HybridClock, store: Store) -> None:
    """Observe the revisions that other processes have stored, for ever: the clock of one may be ahead of this one's."""
    while True:
        await asyncio.to_thread(observe_stored, clock, store)
        await asyncio.sleep(_OBSERVE_EVERY_S)
