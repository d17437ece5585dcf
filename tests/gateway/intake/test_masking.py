"""Masking in the gateway: what a project's settings name is in no message."""

from __future__ import annotations

from datetime import UTC, datetime

import orjson
import pytest

from phospho_gateway.intake.events import Envelope, EventReader
from phospho_gateway.intake.feedback import FeedbackReader
from phospho_gateway.intake.masking import masks_of
from phospho_schemas.ids import HybridClock
from phospho_schemas.messages import ProjectSettings
from phospho_store.errors import StoreUnavailable
from phospho_store.registry.quotas import DailyQuotas
from phospho_store.registry.registry import Registry
from phospho_store.store import Store

_ENVELOPE = Envelope(None, "batch", datetime(2026, 1, 1, tzinfo=UTC))


def test_event_is_masked_by_the_settings_of_its_project(store: Store) -> None:
    registry, project_id = Registry(store), "masked"
    registry.save_project(project_id, settings=ProjectSettings(mask=["email"]))
    registry.save_project(f"{project_id}-open")
    quotas = DailyQuotas(store, registry)
    quotas.refresh()
    clock, masks = HybridClock(), masks_of(quotas.mask)
    event = {"input": {"messages": [{"role": "user", "content": "I am ann@x.org"}]}, "user_id": "ann@x.org"}

    masked, unmasked = (
        orjson.loads(EventReader(clock, "here", masks).read({**event, "project_id": project}, _ENVELOPE, 0).keyed.value)
        for project in (project_id, f"{project_id}-open")
    )
    feedback = FeedbackReader(clock, masks).read(
        "t", {"score": 0, "comment": "mail ann@x.org", "project_id": project_id}, _ENVELOPE
    )

    assert masked["input"]["messages"][0]["content"] == "I am <email>"
    assert masked["user_id"] == "ann@x.org"
    assert unmasked["input"] == event["input"]
    assert feedback.comment == "mail <email>"


def test_event_is_refused_while_the_rules_are_unknown(store: Store) -> None:
    """A gateway that starts while ClickHouse is away."""
    Registry(store).save_project("masked-later", settings=ProjectSettings(mask=["email"]))
    restarted = DailyQuotas(store, Registry(store))
    reader = EventReader(HybridClock(), "here", masks_of(restarted.mask))
    event = {"input": "I am ann@x.org", "project_id": "masked-later"}

    with pytest.raises(StoreUnavailable):
        reader.read(event, _ENVELOPE, 0)

    restarted.refresh()
    assert orjson.loads(reader.read(event, _ENVELOPE, 0).keyed.value)["input"] == "I am <email>"
