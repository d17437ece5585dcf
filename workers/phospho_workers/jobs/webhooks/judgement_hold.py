"""The events that are held back until a judge has answered, and for how long."""

from __future__ import annotations

from collections.abc import Callable

from phospho_workers.detection.definitions import NO_DEFINITIONS, CompiledDefinitions, Snapshot
from phospho_workers.judging.settings import JudgeSettings


class JudgementHold:
    """
    Holds uncertain events for the project's `webhook_wait_s`, where a judge is asked about them.

    `definitions` is called only where there is a judge. It blocks, and raises what the store raises.
    """

    def __init__(self, settings: JudgeSettings, definitions: Callable[[], Snapshot] = Snapshot) -> None:
        self._settings = settings
        self._definitions = definitions

    def wait_s(self, project_id: str) -> int:
        """Return for how many seconds events of a project are held; 0 where none is."""
        return self._compiled(project_id).settings.webhook_wait_s if self._settings.is_configured else 0

    def holds(self, project_id: str, name: str) -> bool:
        """Tell whether an uncertain event without a judgement is held."""
        if not self.wait_s(project_id):
            return False
        # Imported here: a process without a judge imports nothing of judges.
        from phospho_workers.judging.selection import judge_of

        has_llm, has_encoder = self._settings.llm is not None, self._settings.encoder is not None
        definitions = self._compiled(project_id).definitions
        definition = next((definition for definition in definitions if definition.name == name), None)
        if definition is None:
            return False
        return judge_of(definition, has_llm=has_llm, has_encoder=has_encoder) is not None

    def _compiled(self, project_id: str) -> CompiledDefinitions:
        return self._definitions().by_project.get(project_id, NO_DEFINITIONS)
