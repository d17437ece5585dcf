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
_LACKING_IN_CANDIDATES = ("evidence", "classifier_version", "judge", "value", "category")
# A found event keeps its score; one that was nearly found has that of its judge.
_JUDGED_FIELDS = {
    "score": "if(is_found, score, judgement.score)",
    "judge": "if(judgement.judge != '', toString(judgement.judge), toString(judge))",
    "value": "coalesce(judgement.value, value)",
    "category": "if(judgement.category != '', toString(judgement.category), toString(category))",
}
_CONTENT = "candidates.content[indexOf(candidates.name, name)]"

# Arrays side by side, not one of tuples: ClickHouse reads only those that the query needs. A candidate of a name that
# was found has no content, which no judgement has either.
_JUDGED_EVENTS = """(
    SELECT $columns, $judged_fields
    FROM analysis_rows FINAL
    ARRAY JOIN
        $arrays,
        arrayConcat(
            arrayMap(name -> $content, events.name),
            arrayMap((name, content) -> if(has(events.name, name), '', content), candidates.name, candidates.content)
        ) AS content,
        arrayResize(arrayWithConstant(length(events.name), 1), $size) AS is_found
    LEFT ANY JOIN
    (
        SELECT project_id AS judged_project, name AS judged_name, definition_version AS judged_version,
            content AS judged_content, answer, score, value, category, judge
        FROM judgement_rows FINAL WHERE $judgements AND answer != ''
    ) AS judgement
    ON project_id = judged_project AND name = judged_name AND definition_version = judged_version
        AND content = judged_content
    WHERE $analyses AND if(answer = '', is_found, answer = 'yes')
)"""
_SIZE = "length(events.name) + length(candidates.name)"

_FOUND_NAMES = "CAST(events.name, 'Array(String)')"
_JUDGED_CONTENTS = """(
    SELECT project_id, name, definition_version, content FROM judgement_rows FINAL
    WHERE $of_project AND answer $answer
)"""
_JUDGED_NAMES = """arrayConcat(
    arrayFilter(
        (name, version) -> (project_id, name, version, $content) NOT IN $denied, $names, events.definition_version
    ),
    arrayFilter(
        (name, version, content) -> NOT has(events.name, name) AND (project_id, name, version, content) IN $affirmed,
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
    return compose(
        _JUDGED_EVENTS,
        columns=", ".join(columns),
        judged_fields=", ".join(f"{_JUDGED_FIELDS.get(name, name)} AS {name}" for name in fields),
        arrays=", ".join(f"{_open(name)} AS {name}" for name in fields),
        content=_CONTENT,
        size=_SIZE,
        analyses=analyses,
        judgements=judgements,
    )


def _open(name: str) -> str:
    """Return the expression of a field of all events and candidates of an analysis, as an array."""
    is_lacking = name in _LACKING_IN_CANDIDATES
    return f"arrayResize(events.{name}, {_SIZE})" if is_lacking else f"arrayConcat(events.{name}, candidates.{name})"


def found_names(*, has_judgements: bool, of_project: str = "project_id = {project:String}") -> str:
    """
    Return the expression of the names that detection found in a row of `analysis_rows`, after judgements.

    `of_project` is a condition on `judgement_rows`.
    """
    if not has_judgements:
        return _FOUND_NAMES
    return compose(
        _JUDGED_NAMES,
        content=_CONTENT,
        names=_FOUND_NAMES,
        denied=compose(_JUDGED_CONTENTS, answer="NOT IN ('', 'yes')", of_project=of_project),
        affirmed=compose(_JUDGED_CONTENTS, answer="= 'yes'", of_project=of_project),
    )


def labelled(label: str, *columns: str) -> str:
    """Return the query of these columns of `label_rows` where a project's label is `confirmed` or `rejected`."""
    return compose(_LABELLED, columns=", ".join(columns), label=label)
