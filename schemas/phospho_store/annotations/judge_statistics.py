"""Statistics of an LLM's answers, and the reasons not to train classifiers on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from phospho_store.store import Store

# Beyond these shares, one answer is so common that the answers say nothing about the texts.
_MOST_YES_OF_DEFINITION = 0.95
_LEAST_YES_OF_MODEL = 0.01
# Confirmed and rejected tasks that the model has to have judged to be compared with people.
_MIN_OF_KIND = 5
# Least difference between its shares of yes among confirmed and rejected tasks.
_LEAST_DISTANCE = 0.2

_STATISTICS = """
SELECT
    name,
    model,
    countIf(judgement.answer = 'yes') AS yes,
    countIf(judgement.answer = 'no') AS no,
    countIf(judgement.answer = '') AS none,
    countIf(label.label = 'confirmed') AS confirmed,
    countIf(label.label = 'confirmed' AND judgement.answer = 'yes') AS affirmed,
    countIf(label.label = 'rejected') AS rejected,
    countIf(label.label = 'rejected' AND judgement.answer = 'yes') AS wrongly_affirmed
FROM
(
    SELECT name, toString(model) AS model, toString(answer) AS answer, task_id FROM judgement_rows FINAL
    WHERE project_id = {project:String} AND judge = 'llm'
        AND (name, definition_version) IN
            (SELECT arrayJoin(arrayZip({names:Array(String)}, {versions:Array(UInt32)})))
) AS judgement
LEFT ANY JOIN
(
    SELECT event_name, task_id, toString(label) AS label FROM label_rows FINAL
    WHERE project_id = {project:String} AND label != ''
) AS label
ON judgement.name = label.event_name AND judgement.task_id = label.task_id
GROUP BY name, model ORDER BY name, model
"""


@dataclass(frozen=True)
class JudgeStatistics:
    """
    The answers of one model about one version of a definition, counted.

    `none` counts unreadable answers. Of the tasks that people confirmed, it said yes to `affirmed` of `confirmed`; of
    those that they rejected, to `wrongly_affirmed` of `rejected`.
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
        """The number of readable answers."""
        return self.yes + self.no


class JudgeStatisticsRepository:
    """Reads of statistics. Blocking; raises what the store raises."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def of(self, project_id: str, versions: Mapping[str, int]) -> list[JudgeStatistics]:
        """Return the statistics of these versions of a project's definitions, by name and model."""
        parameters = {"project": project_id, "names": list(versions), "versions": list(versions.values())}
        return [JudgeStatistics(**row) for row in self._store.rows(_STATISTICS, parameters)]


def distrust_reasons(statistics: Sequence[JudgeStatistics]) -> dict[tuple[str, str], str]:
    """
    Return by name and model why a model's answers about a definition are not learnt from; "" if they are.

    `statistics` are all of a project. A model has to give both answers: yes to one in a hundred of all questions (an
    event may be rare, but not every event), and no to one in twenty about each definition. If it judged five confirmed
    and five rejected tasks, its share of yes must be 0.2 higher among the confirmed ones.
    """
    denying = {model for model in {counts.model for counts in statistics} if _says_no_to_all(statistics, model)}
    return {(counts.name, counts.model): _why_not(counts, denies_all=counts.model in denying) for counts in statistics}


def _says_no_to_all(statistics: Sequence[JudgeStatistics], model: str) -> bool:
    of_model = [counts for counts in statistics if counts.model == model]
    return sum(counts.yes for counts in of_model) < _LEAST_YES_OF_MODEL * sum(counts.judgements for counts in of_model)


def _why_not(counts: JudgeStatistics, *, denies_all: bool) -> str:
    if denies_all:
        return "the model says no to next to everything in this project"
    if counts.yes > _MOST_YES_OF_DEFINITION * counts.judgements:
        return f"the model says yes to next to everything: {counts.yes} yes, {counts.no} no"
    if min(counts.confirmed, counts.rejected) < _MIN_OF_KIND:
        return ""
    distance = counts.affirmed / counts.confirmed - counts.wrongly_affirmed / counts.rejected
    if distance >= _LEAST_DISTANCE:
        return ""
    return (
        f"the model contradicts people: yes to {counts.affirmed} of {counts.confirmed} confirmed tasks"
        f" and to {counts.wrongly_affirmed} of {counts.rejected} rejected ones"
    )
