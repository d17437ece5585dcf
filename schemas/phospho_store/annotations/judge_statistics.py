"""Whether the judgements of an LLM are worth learning, by themselves and beside people's labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from phospho_store.store import Store

# One answer in so many must be another one, or the answers tell nothing of the texts.
_MOST_YES_OF_DEFINITION = 0.95
_LEAST_YES_OF_MODEL = 0.01
# Tasks of either kind that a person and the LLM have judged, from which on they are compared.
_MIN_OF_KIND = 5
# By how much more often it must say yes to what people confirmed than to what they rejected.
_LEAST_DISTANCE = 0.2

_RECORDS = """
SELECT name, model, countIf(v.answer = 'yes') AS yes, countIf(v.answer = 'no') AS no, countIf(v.answer = '') AS none,
    countIf(l.label = 'confirmed') AS confirmed, countIf(l.label = 'confirmed' AND v.answer = 'yes') AS affirmed,
    countIf(l.label = 'rejected') AS rejected,
    countIf(l.label = 'rejected' AND v.answer = 'yes') AS wrongly_affirmed
FROM
(
    SELECT name, toString(model) AS model, toString(answer) AS answer, task_id FROM judgement_rows FINAL
    WHERE project_id = {project:String} AND judge = 'llm'
        AND (name, definition_version) IN
            (SELECT arrayJoin(arrayZip({names:Array(String)}, {versions:Array(UInt32)})))
) AS v
LEFT ANY JOIN
(
    SELECT event_name, task_id, toString(label) AS label FROM label_rows FINAL
    WHERE project_id = {project:String} AND label != ''
) AS l
ON v.name = l.event_name AND v.task_id = l.task_id
GROUP BY name, model ORDER BY name, model
"""


@dataclass(frozen=True)
class JudgeStatistics:
    """
    What one model said of one version of a definition.

    `none` are the answers that could not be read. Of the tasks that a person judged too, it said yes to `affirmed` of
    `confirmed`, and to `wrongly_affirmed` of `rejected`.
    """

    name: str
    model: str
    yes: int
    no: int
    none: int = 0
    confirmed: int = 0
    affirmed: int = 0
    rejected: int = 0
    wrongly_affirmed: int = 0

    @property
    def judgements(self) -> int:
        """How many judgements there are."""
        return self.yes + self.no


class JudgeStatisticsRepository:
    """Reads of what models said. Blocking; raises what the store raises."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def of(self, project_id: str, versions: Mapping[str, int]) -> list[JudgeStatistics]:
        """Return what was said of these versions of a project's definitions, by name and model."""
        parameters = {"project": project_id, "names": list(versions), "versions": list(versions.values())}
        return [JudgeStatistics(**row) for row in self._store.rows(_RECORDS, parameters)]


def distrust_reasons(records: Sequence[JudgeStatistics]) -> dict[tuple[str, str], str]:
    """
    Return by name and model why nothing is learnt from what a model said of a definition; "" where it is.

    `records` are all of a project. A model has to know both answers: of all that it says one in a hundred is yes (an
    event may be rare, not all of them), and of a definition one in twenty is no. And where five confirmed and five
    rejected tasks were judged by it too, it has to say yes to the former by a fifth more often than to the latter.
    """
    silent = {model for model in {one.model for one in records} if _says_no_to_all(records, model)}
    return {(one.name, one.model): _why_not(one, is_silent=one.model in silent) for one in records}


def _says_no_to_all(records: Sequence[JudgeStatistics], model: str) -> bool:
    of_model = [one for one in records if one.model == model]
    return sum(one.yes for one in of_model) < _LEAST_YES_OF_MODEL * sum(one.judgements for one in of_model)


def _why_not(record: JudgeStatistics, *, is_silent: bool) -> str:
    if is_silent:
        return "the model says no to next to everything in this project"
    if record.yes > _MOST_YES_OF_DEFINITION * record.judgements:
        return f"the model says yes to next to everything: {record.yes} yes, {record.no} no"
    if min(record.confirmed, record.rejected) < _MIN_OF_KIND:
        return ""
    distance = record.affirmed / record.confirmed - record.wrongly_affirmed / record.rejected
    if distance >= _LEAST_DISTANCE:
        return ""
    return (
        f"the model contradicts people: yes to {record.affirmed} of {record.confirmed} confirmed tasks"
        f" and to {record.wrongly_affirmed} of {record.rejected} rejected ones"
    )
