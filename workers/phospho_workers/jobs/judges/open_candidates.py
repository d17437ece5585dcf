"""The candidates without a judgement, and the texts of their tasks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from phospho_schemas.ids import HybridClock
from phospho_store.annotations.judgements import JudgementRepository
from phospho_store.jobs.backfills import BackfillRepository
from phospho_store.sql import compose
from phospho_store.store import Store
from phospho_workers.detection.text.sides import SIDES, Side, texts_of
from phospho_workers.jobs.stored_tasks import CUT_MARK, shortened
from phospho_workers.judging.selection import OpenCandidate, OpenText

# A judge is asked about the beginning and the end of a longer text.
_KEPT_CHARACTERS = 8_000
# The most doubtful candidates that one query returns.
_MAX_OPEN = 5_000
MAX_OPEN_OF_ONE = 500
_NAMES_AT_ONCE = 200
# The year 2200: no task is later.
END_OF_TIME_MS = 7_258_118_400_000

# Parameters: names, versions.
_VERSIONS = "(SELECT arrayJoin(arrayZip({names:Array(String)}, {versions:Array(UInt32)})))"

# Parameters: project, names, versions, arrived, logged, before, retried. The index on inserted_at finds the analyses
# that arrived, and only their present rows are read.
_OPEN = compose(
    """
SELECT task_id, name, definition_version, scope, content, doubt FROM
(
    SELECT task_id, created_at, toString(tupleElement(candidate, 'name')) AS name,
        tupleElement(candidate, 'definition_version') AS definition_version,
        toString(tupleElement(candidate, 'scope')) AS scope,
        tupleElement(candidate, 'content') AS content, tupleElement(candidate, 'doubt') AS doubt
    FROM
    (
        SELECT task_id, created_at, candidates FROM analysis_rows FINAL
        WHERE project_id = {project:String} AND task_id IN
        (
            SELECT task_id FROM analysis_rows
            WHERE project_id = {project:String} AND notEmpty(candidates.name)
                AND inserted_at >= fromUnixTimestamp64Milli({arrived:Int64})
                AND created_at >= fromUnixTimestamp64Milli({logged:Int64})
                AND created_at < fromUnixTimestamp64Milli({before:Int64})
        )
    )
    ARRAY JOIN candidates AS candidate
    WHERE (name, definition_version) IN $versions
        AND (name, definition_version, content) NOT IN
            (SELECT name, definition_version, content FROM judgement_rows
             WHERE project_id = {project:String} AND (name, definition_version) IN $versions
                AND (answer != '' OR created_at >= fromUnixTimestamp64Milli({retried:Int64})))
    ORDER BY doubt DESC, created_at DESC, content, task_id LIMIT 1 BY name, definition_version, content
)
ORDER BY doubt DESC, created_at DESC, content, task_id LIMIT $max_of_one BY name LIMIT $max
""",
    versions=_VERSIONS,
    max_of_one=str(MAX_OPEN_OF_ONE),
    max=str(_MAX_OPEN),
)

# Parameters: project, contents, names, versions.
_JUDGED_NAMES = compose(
    """
SELECT content, groupUniqArray(name) AS names FROM judgement_rows
WHERE project_id = {project:String} AND content IN {contents:Array(String)} AND (name, definition_version) IN $versions
GROUP BY content
""",
    versions=_VERSIONS,
)

# Parameters: project, tasks.
_TASKS = compose(
    """
SELECT t.task_id AS task_id, analysis.contents AS contents, $texts
FROM
(
    SELECT * FROM task_rows FINAL
    WHERE project_id = {project:String} AND task_id IN {tasks:Array(String)}
) AS t
INNER JOIN
(
    SELECT task_id, revision,
        arrayMap((scope, content) -> concat(scope, ' ', content), candidates.scope, candidates.content) AS contents
    FROM analysis_rows FINAL
    WHERE project_id = {project:String} AND task_id IN {tasks:Array(String)}
) AS analysis
ON t.task_id = analysis.task_id AND t.revision = analysis.revision
""",
    texts=shortened(SIDES, _KEPT_CHARACTERS, CUT_MARK),
)


@dataclass(frozen=True)
class CandidateWindow:
    """
    The time of candidates, in Unix milliseconds.

    Their analysis arrived since, and their task was logged, by its own time, from one moment on and before another. A
    candidate whose answer before `retried_before_ms` was unreadable is open again.
    """

    arrived_since_ms: int
    retried_before_ms: int
    logged_from_ms: int = 0
    logged_before_ms: int = END_OF_TIME_MS

    @property
    def parameters(self) -> dict[str, Any]:
        """The window as parameters of the query."""
        return {
            "arrived": self.arrived_since_ms,
            "logged": self.logged_from_ms,
            "before": self.logged_before_ms,
            "retried": self.retried_before_ms,
        }


class OpenCandidates:
    """Reads of candidates without a judgement. Blocking; raises what the store raises."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def now_ms(self) -> int:
        """Return the time of ClickHouse's clock, which stamps arrivals."""
        return self._store.now_ms()

    def open(self, project_id: str, versions: Mapping[str, int], window: CandidateWindow) -> list[OpenCandidate]:
        """
        Return the candidates of these versions of definitions (by name) in a window that have no judgement.

        Each content comes once, the most doubtful and then the newest first: 500 of a definition, and 5,000 of 200
        definitions.
        """
        names = sorted(versions)
        candidates = []
        for begin in range(0, len(names), _NAMES_AT_ONCE):
            some = names[begin : begin + _NAMES_AT_ONCE]
            parameters = {"project": project_id, "names": some, "versions": [versions[name] for name in some]}
            candidates += self._store.rows(_OPEN, parameters | window.parameters)
        return [OpenCandidate(**row) for row in candidates]

    def judged_names(
        self, project_id: str, versions: Mapping[str, int], contents: Sequence[str]
    ) -> dict[str, frozenset[str]]:
        """Return by content the definitions, of these versions, that have a judgement on it."""
        parameters = {"project": project_id, "names": list(versions), "versions": list(versions.values())}
        rows = self._store.rows(_JUDGED_NAMES, parameters | {"contents": list(contents)})
        return {row["content"]: frozenset(row["names"]) for row in rows}

    def current_texts(self, project_id: str, texts: Sequence[OpenText]) -> list[tuple[OpenText, Mapping[Side, str]]]:
        """
        Return the texts that their tasks still have, each with its sides, shortened.

        A task that was logged again since it was analysed has another text. That comes by itself: a judgement on it
        would be stored for a text that no judge was asked about.
        """
        task_ids = list({text.task_id for text in texts})
        rows = self._store.rows(_TASKS, {"project": project_id, "tasks": task_ids})
        tasks = {row["task_id"]: row for row in rows}
        return [
            (text, texts_of(tasks[text.task_id], text.scope))
            for text in texts
            if text.task_id in tasks and f"{text.scope} {text.content}" in tasks[text.task_id]["contents"]
        ]


@dataclass(frozen=True)
class JudgeRepositories:
    """The candidates to ask about, the judgements and LLM calls, and the backfills that wait for judgements."""

    candidates: OpenCandidates
    judgements: JudgementRepository
    backfills: BackfillRepository

    @classmethod
    def of(cls, store: Store, clock: HybridClock | None = None) -> JudgeRepositories:
        """Return the repositories of a store."""
        return cls(OpenCandidates(store), JudgementRepository(store, clock), BackfillRepository(store, clock))
