"""The settings of the jobs, read from the environment once, where a process begins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from phospho_workers.jobs.webhooks.addresses import Network, parsed_networks
from phospho_workers.judging.settings import NOBODY, JudgeSettings, judges_from_environment


@dataclass(frozen=True)
class JobSettings:
    """
    secret_key: the installation's; secrets of webhooks are derived from it. Without one nothing is told.
    allowed_networks: networks that are not public to which webhooks may go all the same.
    judging: who is asked for judgements.
    """

    secret_key: str = field(default="", repr=False)
    allowed_networks: tuple[Network, ...] = ()
    judging: JudgeSettings = NOBODY


def from_environment(environment: Mapping[str, str], secret_key: str = "") -> JobSettings:
    """
    Return the settings that PHOSPHO_* variables give; `secret_key` where they give none. Raises ValueError.

    A BadJudgeSettings, which is one, says itself which variable it is about.
    """
    return JobSettings(
        environment.get("PHOSPHO_SECRET_KEY") or secret_key,
        parsed_networks(environment.get("PHOSPHO_WEBHOOK_ALLOWED_NETWORKS", "")),
        judges_from_environment(environment),
    )
