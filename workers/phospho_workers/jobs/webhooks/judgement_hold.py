"""Which events webhooks are not told of before somebody has given a judgement, and how long they wait."""

from __future__ import annotations

from collections.abc import Callable

from phospho_schemas.definitions import needs_session
from phospho_workers.detection.definitions import NO_DEFINITIONS, CompiledDefinitions, Snapshot
from phospho_workers.judging.settings import JudgeSettings


class JudgementHold:
    """
    How long webhooks wait, by each project's `webhook_wait_s`, and for which events: those that somebody is asked of.

    `definitions` is asked where there is a judge, and blocks then; it raises what the store raises.
    """

    def __init__(self, settings: JudgeSettings, definitions: Callable[[], Snapshot] = Snapshot) -> None:
        self._settings = settings
        self._definitions = definitions

    def wait_s(self, project_id: str) -> int:
        """Return how many seconds the events of a project may wait; 0 where none does."""
        return self._compiled(project_id).settings.webhook_wait_s if self._settings.is_configured else 0

    def waits(self, project_id: str, name: str) -> bool:
        """Tell whether an event that nobody has said anything of yet waits for a judge."""
        if not self.wait_s(project_id):
            return False
        # Only here: who asks nobody imports nothing of judges.
        from phospho_workers.judging.selection import judge_of

        has_llm, has_encoder = self._settings.llm is not None, self._settings.encoder is not None
        known = next((one for one in self._compiled(project_id).definitions if one.name == name), None)
        if known is None or needs_session(known):
            return False
        return judge_of(known, has_llm=has_llm, has_encoder=has_encoder) is not None

    def _compiled(self, project_id: str) -> CompiledDefinitions:
        return self._definitions().by_project.get(project_id, NO_DEFINITIONS)
