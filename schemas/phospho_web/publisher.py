"""The interface of publishers: Kafka, or the pipeline in the same process."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from phospho_schemas.topics import Keyed


class ReceiptsUnpublished(Exception):
    """Messages are durable, and their receipts are not."""


class Publisher(Protocol):
    """Takes messages of `phospho.raw-logs`."""

    async def publish(self, messages: Sequence[Keyed], receipts: Sequence[Keyed] = ()) -> None:
        """
        Return when every message is durable, and then the rows of `phospho.receipts` that say so.

        Raises Problem (429 or 503) if that can't be confirmed. Some messages may be durable even then; the client sends
        all of them again, and their ids make that safe. Raises ReceiptsUnpublished if only the receipts failed.
        """
