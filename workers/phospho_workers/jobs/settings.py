"""Settings of the jobs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from phospho_schemas.rows.ledger import GRACE_S
from phospho_schemas.settings import HttpUrl, setting
from phospho_workers.jobs.webhooks.addresses import Network
from phospho_workers.jobs.webhooks.mail import SmtpSettings
from phospho_workers.judging.settings import NO_JUDGES, JudgeSettings


@dataclass(frozen=True)
class JobSettings:
    """
    Settings of background jobs. Without a `secret_key` no webhook can be signed, and none is sent.

    `price_parameters` are the prices of models as the SQL of a cost takes them.
    """

    secret_key: str = setting(
        "",
        "Key of the installation, from which the secrets of webhooks are derived; without it none can be added.",
        variable="PHOSPHO_SECRET_KEY",
        is_secret=True,
    )
    allowed_networks: tuple[Network, ...] = setting(
        (),
        "Private networks to which webhooks may go, such as 10.0.0.0/8,::1.",
        variable="PHOSPHO_WEBHOOK_ALLOWED_NETWORKS",
    )
    ledger_grace_s: float = setting(
        float(GRACE_S),
        "Time in which an accepted log must be stored; the ledger counts it as missing afterwards.",
        variable="PHOSPHO_LEDGER_GRACE_S",
    )
    pages_url: HttpUrl = setting(
        "",
        "URL at which people reach the pages, for the links in messages of alerts.",
        variable="PHOSPHO_PAGES_URL",
    )
    smtp: SmtpSettings = SmtpSettings()
    price_parameters: Mapping[str, Any] = field(default_factory=dict)
    judging: JudgeSettings = NO_JUDGES
