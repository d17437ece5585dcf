"""What the judge asks ClickHouse: candidates that have no judgement, and the tasks that they are of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from phospho_store.store import Store
from phospho_workers.detection.text.sides import SIDES, Side, texts_of
from phospho_workers.jobs.shortened_texts import CUT_MARK, shortened
from phospho_workers.judging.selection import OpenCandidate, OpenText

# Of a longer text the beginning and the end are asked about anyway.
_KEPT_CHARACTERS = 8_000
# What one question to ClickHouse brings: of each definition the most doubtful.
_MAX_OPEN = 5_000
MAX_OPEN_OF_ONE = 500
_NAMES_AT_ONCE = 200
# No task is of a later time: 2200.
END_OF_TIME_MS = 7_258_118_400_000

_OPEN = f"""
SELECT task_id, name, definition_version, scope, content, doubt FROM
(
    SELECT task_id, created_at, toString(tupleElement(candidate, 'name')) AS name,
        tupleElement(candidate, 'definition_version') AS definition_version,
        toString(tupleElement(candidate, 'scope')) AS scope,
        tupleElement(candidate, 'content') AS content, tupleElement(candidate, 'doubt') AS doubt
    FROM
    (
        -- What arrived is found by the index on inserted_at, and only that is read as it is now.
        SELECT task_id, created_at, candidates FROM analysis_rows FINAL
        WHERE project_id = {{project:String}} AND task_id IN
        (
            SELECT task_id FROM analysis_rows
            WHERE project_id = {{project:String}} AND notEmpty(candidates.name)
                AND inserted_at >= fromUnixTimestamp64Milli({{arrived:Int64}})
                AND created_at >= fromUnixTimestamp64Milli({{logged:Int64}})
                AND created_at < fromUnixTimestamp64Milli({{before:Int64}})
        )
    )
    ARRAY JOIN candidates AS candidate
    WHERE (name, definition_version) IN
            (SELECT arrayJoin(arrayZip({{names:Array(String)}}, {{versions:Array(UInt32)}})))
        AND (name, definition_version, content) NOT IN
            (SELECT name, definition_version, content FROM judgement_rows
             WHERE project_id = {{project:String}} AND (name, definition_version) IN
                (SELECT arrayJoin(arrayZip({{names:Array(String)}}, {{versions:Array(UInt32)}})))
                AND (answer != '' OR created_at >= fromUnixTimestamp64Milli({{retried:Int64}})))
    ORDER BY doubt DESC, created_at DESC, content, task_id LIMIT 1 BY name, definition_version, content
)
ORDER BY doubt DESC, created_at DESC, content, task_id LIMIT {MAX_OPEN_OF_ONE} BY name LIMIT {_MAX_OPEN}
"""

_JUDGED = """
SELECT content, groupUniqArray(name) AS names FROM judgement_rows
WHERE project_id = {project:String} AND content IN {contents:Array(String)}
    AND (name, definition_version) IN
        (SELECT arrayJoin(arrayZip({names:Array(String)}, {versions:Array(UInt32)})))
GROUP BY content
"""

_TASKS = """
SELECT t.task_id AS task_id, a.contents AS contents, %s
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
) AS a
ON t.task_id = a.task_id AND t.revision = a.revision
"""


@dataclass(frozen=True)
class CandidateWindow:
    """
    Of which time candidates are; milliseconds.

    Their analysis arrived since, and their task was logged, by its own time, from one moment on and before another.
    What had no readable answer before `retried_before_ms` is open again.
    """

    arrived_since_ms: int
    retried_before_ms: int
    logged_from_ms: int = 0
    logged_before_ms: int = END_OF_TIME_MS

    @property
    def parameters(self) -> dict[str, Any]:
        """What the question to ClickHouse has in its place."""
        return {
            "arrived": self.arrived_since_ms,
            "logged": self.logged_from_ms,
            "before": self.logged_before_ms,
            "retried": self.retried_before_ms,
        }


class OpenCandidates:
    """Reads of what may be asked about. Blocking; raises what the store raises."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def now_ms(self) -> int:
        """Return ClickHouse's clock, which stamps what arrives."""
        return self._store.now_ms()

    def open(self, project_id: str, versions: Mapping[str, int], when: CandidateWindow) -> list[OpenCandidate]:
        """
        Return candidates of these versions of definitions (by name) of some time that have no judgement.

        The most doubtful of each, of equals the newest, each content once: 500 a definition, 5,000 of 200 definitions.
        """
        names = sorted(versions)
        found = []
        for begin in range(0, len(names), _NAMES_AT_ONCE):
            chosen = names[begin : begin + _NAMES_AT_ONCE]
            parameters = {"project": project_id, "names": chosen} | when.parameters
            found += self._store.rows(_OPEN, parameters | {"versions": [versions[name] for name in chosen]})
        return [OpenCandidate(**row) for row in found]

    def judged(
        self, project_id: str, versions: Mapping[str, int], contents: Sequence[str]
    ) -> dict[str, frozenset[str]]:
        """Return by content the definitions, of these versions, that have a judgement on it."""
        parameters = {"project": project_id, "names": list(versions), "versions": list(versions.values())}
        rows = self._store.rows(_JUDGED, parameters | {"contents": list(contents)})
        return {row["content"]: frozenset(row["names"]) for row in rows}

    def said(self, project_id: str, texts: Sequence[OpenText]) -> list[tuple[OpenText, Mapping[Side, str]]]:
        """
        Return those of the texts that their tasks still say, each with what it reads of them, shortened.

        A task that was logged again, since the texts were found or since its analysis, says something else: what that
        is comes by itself, and a judgement on it would be stored for what nobody was asked about.
        """
        columns = shortened(SIDES, _KEPT_CHARACTERS, CUT_MARK)
        task_ids = list({one.task_id for one in texts})
        rows = self._store.rows(_TASKS % columns, {"project": project_id, "tasks": task_ids})
        known = {row["task_id"]: row for row in rows}
        return [
            (one, texts_of(known[one.task_id], one.scope))
            for one in texts
            if one.task_id in known and f"{one.scope} {one.content}" in known[one.task_id]["contents"]
        ]
