"""Which events webhooks are not told of before somebody has given a second opinion, and how long they wait."""

from __future__ import annotations

from collections.abc import Callable

from phospho_workers.detection.definitions import NO_DEFINITIONS, Snapshot, needs_session
from phospho_workers.judging.choice import judge_of
from phospho_workers.judging.settings import JudgeSettings


class Patience:
    """
    How long webhooks wait, by each project's `webhook_wait_s`, and for which events: those that somebody is asked of.

    `definitions` is asked where there is a judge, and blocks then; it raises what the store raises.
    """

    def __init__(self, settings: JudgeSettings, definitions: Callable[[], Snapshot] = Snapshot) -> None:
        self._settings = settings
        self._definitions = definitions

    def wait_s(self, project_id: str) -> int:
        """Return how many seconds the events of a project may wait; 0 where none does."""
        if not self._settings.is_configured:
            return 0
        compiled = self._definitions().by_project.get(project_id, NO_DEFINITIONS)
        return compiled.settings.webhook_wait_s

    def waits(self, project_id: str, name: str) -> bool:
        """Tell whether an event that a judge has said nothing of yet waits for one."""
        if not self.wait_s(project_id):
            return False
        compiled = self._definitions().by_project.get(project_id, NO_DEFINITIONS)
        known = next((one for one in compiled.definitions if one.name == name), None)
        return (
            known is not None
            and not needs_session(known)
            and judge_of(known, has_llm=self._settings.llm is not None, has_encoder=self._settings.encoder is not None)
            is not None
        )
