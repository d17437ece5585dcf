"""
SQL for events: judgements and labels applied to what detection found.

A judgement is of one version of a definition and of one content, which stands in the candidate of the same name. It
takes a found event away or keeps it, and adds one that was nearly found. A label is of one event name in one task: a
rejected event is not there, and a confirmed one is.
"""

from __future__ import annotations

from collections.abc import Sequence

from phospho_store.sql import compose

EVENT_FIELDS = (
    "id",
    "name",
    "definition_version",
    "engine",
    "scope",
    "score",
    "evidence",
    "classifier_version",
    "judge",
    "value",
    "category",
)
_LACKING_IN_CANDIDATES = {
    "evidence": "''",
    "classifier_version": "toUInt32(0)",
    "judge": "''",
    "value": "CAST(NULL, 'Nullable(Float64)')",
    "category": "''",
}
# A found event keeps its score; one that was nearly found has that of its judge.
_JUDGED_FIELDS = {
    "score": "if(is_found, open.score, judgement.score)",
    "judge": "if(judgement.judge != '', toString(judgement.judge), toString(open.judge))",
    "value": "coalesce(judgement.value, open.value)",
    "category": "if(judgement.category != '', toString(judgement.category), toString(open.category))",
}
_CONTENT = "candidates.content[indexOf(candidates.name, name)]"

_JUDGED_EVENTS = """(
    SELECT $columns, $judged_fields
    FROM
    (
        SELECT $own_columns, $open_fields, open.$content_at AS content, open.$found_at AS is_found
        FROM analysis_rows FINAL
        ARRAY JOIN arrayConcat(
            arrayMap(($fields) -> ($fields, $content, 1), $event_arrays),
            arrayFilter(
                candidate -> NOT has(events.name, candidate.$name_at),
                arrayMap(($candidate_fields, content) -> ($candidate_values, content, 0), $candidate_arrays)
            )
        ) AS open
        WHERE $analyses
    ) AS open
    LEFT ANY JOIN (SELECT * FROM judgement_rows FINAL WHERE $judgements AND answer != '') AS judgement
    ON open.project_id = judgement.project_id AND open.name = judgement.name
        AND open.definition_version = judgement.definition_version AND open.content = judgement.content
    WHERE if(judgement.answer = '', is_found, judgement.answer = 'yes')
)"""

_FOUND_NAMES = "CAST(events.name, 'Array(String)')"
_JUDGED_CONTENTS = """(
    SELECT name, definition_version, content FROM judgement_rows FINAL
    WHERE project_id = {project:String} AND answer $answer
)"""
_JUDGED_NAMES = """arrayConcat(
    arrayFilter((name, version) -> (name, version, $content) NOT IN $denied, $names, events.definition_version),
    arrayFilter(
        (name, version, content) -> NOT has(events.name, name) AND (name, version, content) IN $affirmed,
        CAST(candidates.name, 'Array(String)'), candidates.definition_version, candidates.content
    )
)"""

_LABELLED = "SELECT $columns FROM label_rows FINAL WHERE project_id = {project:String} AND label = '$label'"


def judged_events(columns: Sequence[str], fields: Sequence[str], analyses: str = "1", judgements: str = "1") -> str:
    """
    Return a subquery of events as they are after judgements, one row an event.

    It has these columns of `analysis_rows` and these of EVENT_FIELDS, `name` and `definition_version` among them.
    `analyses` and `judgements` are conditions on `analysis_rows` and `judgement_rows`.
    """
    in_candidates = [name for name in fields if name not in _LACKING_IN_CANDIDATES]
    return compose(
        _JUDGED_EVENTS,
        columns=", ".join(columns),
        own_columns=", ".join(dict.fromkeys(("project_id", *columns))),
        judged_fields=", ".join(f"{_JUDGED_FIELDS.get(name, f'open.{name}')} AS {name}" for name in fields),
        open_fields=", ".join(f"open.{position} AS {name}" for position, name in enumerate(fields, 1)),
        content_at=str(len(fields) + 1),
        found_at=str(len(fields) + 2),
        name_at=str(fields.index("name") + 1),
        fields=", ".join(fields),
        content=_CONTENT,
        event_arrays=", ".join(f"events.{name}" for name in fields),
        candidate_fields=", ".join(in_candidates),
        candidate_values=", ".join(_LACKING_IN_CANDIDATES.get(name, name) for name in fields),
        candidate_arrays=", ".join(f"candidates.{name}" for name in (*in_candidates, "content")),
        analyses=analyses,
        judgements=judgements,
    )


def found_names(*, has_judgements: bool) -> str:
    """Return the expression of the names that detection found in a row of `analysis_rows`, after judgements."""
    if not has_judgements:
        return _FOUND_NAMES
    return compose(
        _JUDGED_NAMES,
        content=_CONTENT,
        names=_FOUND_NAMES,
        denied=compose(_JUDGED_CONTENTS, answer="NOT IN ('', 'yes')"),
        affirmed=compose(_JUDGED_CONTENTS, answer="= 'yes'"),
    )


def labelled(label: str, *columns: str) -> str:
    """Return the query of these columns of `label_rows` where a project's label is `confirmed` or `rejected`."""
    return compose(_LABELLED, columns=", ".join(columns), label=label)
