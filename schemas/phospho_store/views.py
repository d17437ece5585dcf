"""
The views: what readers of ClickHouse use, applied anew by every `migrate`.

FINAL stands in them, so that no reader has to remember it. Every value is a function of what was logged: the time of
arrival and the revision, which a second import changes, stay in the tables.
"""

from __future__ import annotations

from collections.abc import Mapping

from phospho_store.metadata import metadata_text
from phospho_store.sql import compose
from phospho_store.sql.corrections import Corrections
from phospho_store.sql.current_events import ALL_CORRECTIONS, current_events, found_events
from phospho_store.sql.definitions import current_definitions
from phospho_store.sql.feedback import current_flag, last_feedback
from phospho_store.sql.sessions import SESSION_FACTS
from phospho_store.sql.themes import current_themes, merges
from phospho_store.store import Store

_FEEDBACK = """
SELECT project_id, task_id, feedback_id, flag, score, comment, source, created_at
FROM feedback_rows FINAL
"""

_TASKS = """
SELECT
    task.project_id AS project_id,
    task.task_id AS task_id,
    task.session_id AS session_id,
    task.user_id AS user_id,
    task.version_id AS version_id,
    task.created_at AS created_at,
    task.input AS input,
    task.output AS output,
    task.system_prompt AS system_prompt,
    $flag AS flag,
    task.model AS model,
    task.tokens_in AS tokens_in,
    task.tokens_out AS tokens_out,
    task.latency_ms AS latency_ms,
    task.metadata AS metadata,
    $metadata_text AS metadata_text,
    task.raw_input AS raw_input,
    task.raw_output AS raw_output,
    task.source AS source,
    task.whole_log_id AS whole_log_id
FROM (SELECT * FROM task_rows FINAL) AS task
LEFT ANY JOIN $last_feedback AS last_feedback
ON task.project_id = last_feedback.project_id AND task.task_id = last_feedback.task_id
"""

_ANALYSES = """
SELECT
    $columns,
    if(merge.merged_into != '', merge.merged_into, toString(analysis.theme)) AS theme_id,
    analysis.theme_score AS theme_score,
    if(output_merge.merged_into != '', output_merge.merged_into, toString(analysis.output_theme)) AS output_theme_id,
    analysis.output_theme_score AS output_theme_score,
    analysis.events.name AS event_names
FROM (SELECT * FROM analysis_rows FINAL) AS analysis
LEFT ANY JOIN $merges AS merge
ON analysis.project_id = merge.project_id AND analysis.theme = merge.theme_id
LEFT ANY JOIN $merges AS output_merge
ON analysis.project_id = output_merge.project_id AND analysis.output_theme = output_merge.theme_id
"""
_ANALYSIS_COLUMNS = (
    "project_id", "task_id", "session_id", "user_id", "version_id", "created_at",
    "language", "language_score", "sentiment", "sentiment_score", "sentiment_magnitude",
    "output_language", "output_language_score", "output_sentiment", "output_sentiment_score",
    "output_sentiment_magnitude", "language_model", "sentiment_model",
)  # fmt: skip

_THEMES = """
SELECT project_id, theme_id, side, title, phrases, examples, group_id, group_title, is_hidden, is_pinned, merged_into,
    created_at
FROM $current_themes
"""

_LABELS = """
SELECT project_id, event_name, task_id, label, value, category, comment, created_by, created_at
FROM label_rows FINAL
WHERE label != ''
"""

_NOTES = """
SELECT project_id, task_id, note_id, text, created_by, created_at
FROM note_rows FINAL
WHERE NOT is_deleted
"""

_SESSIONS = """
SELECT
    fact.project_id AS project_id,
    fact.session_id AS session_id,
    fact.first_task_at AS first_task_at,
    fact.last_task_at AS last_task_at,
    fact.tasks AS tasks,
    fact.user_ids AS user_ids,
    fact.version_ids AS version_ids,
    fact.models AS models,
    fact.tokens_in AS tokens_in,
    fact.tokens_out AS tokens_out,
    fact.successes AS successes,
    fact.failures AS failures,
    fact.feedback AS feedback,
    event.events AS events,
    event.event_names AS event_names,
    analysis.languages AS languages,
    analysis.sentiment_score AS sentiment_score
FROM
(
    SELECT
        task_rows.project_id AS project_id,
        task_rows.session_id AS session_id,
        $facts,
        countIf($flag = 'success') AS successes,
        countIf($flag = 'failure') AS failures,
        sum(last_feedback.number) AS feedback
    FROM
    (
        SELECT project_id, task_id, session_id, created_at, user_id, version_id, model, tokens_in, tokens_out,
            flag AS logged_flag
        FROM task_rows FINAL
    ) AS task_rows
    LEFT ANY JOIN $last_feedback AS last_feedback
    ON task_rows.project_id = last_feedback.project_id AND task_rows.task_id = last_feedback.task_id
    GROUP BY project_id, session_id
) AS fact
LEFT ANY JOIN
(
    SELECT
        project_id,
        session_id,
        arraySlice(arraySort(groupUniqArrayIf(toString(language), language != '')), 1, 100) AS languages,
        -- In ten-thousandths: a sum of integers is the same in any order of the rows, a sum of floats is not.
        avg(toInt32(round(analysis_rows.sentiment_score * 10000))) / 10000 AS sentiment_score
    FROM analysis_rows FINAL
    GROUP BY project_id, session_id
) AS analysis
ON fact.project_id = analysis.project_id AND fact.session_id = analysis.session_id
LEFT ANY JOIN
(
    SELECT
        project_id,
        session_id,
        count() AS events,
        arraySlice(arraySort(groupUniqArray(toString(name))), 1, 100) AS event_names
    FROM ($events)
    GROUP BY project_id, session_id
) AS event
ON fact.project_id = event.project_id AND fact.session_id = event.session_id
"""

_DEFINITIONS = """
SELECT
    project_id,
    name,
    version,
    description,
    engine,
    scope,
    keywords,
    pattern,
    threshold,
    is_last_task,
    context_turns,
    score_range,
    judge,
    created_at
FROM $current_definitions
"""

_DEAD_LETTERS = """
SELECT
    letter.project_id AS project_id,
    letter.dead_letter_id AS dead_letter_id,
    letter.stage AS stage,
    letter.reason AS reason,
    letter.detail AS detail,
    letter.source_topic AS source_topic,
    letter.source_partition AS source_partition,
    letter.source_offset AS source_offset,
    base64Decode(letter.payload_base64) AS payload,
    letter.payload_bytes AS payload_bytes,
    letter.is_truncated AS is_truncated,
    letter.received_at AS received_at,
    if(action.action = '', 'waiting', toString(action.action)) AS status
FROM (SELECT * FROM dead_letter_rows FINAL) AS letter
LEFT ANY JOIN (SELECT * FROM dead_letter_action_rows FINAL) AS action
ON letter.project_id = action.project_id AND letter.dead_letter_id = action.dead_letter_id
"""


def views(corrections: Corrections = ALL_CORRECTIONS) -> Mapping[str, str]:
    """
    Return the query of every view by its name.

    Those of events and sessions look for `corrections`: those of one project plan and run in a fraction of the time.
    """
    events = current_events(corrections)
    last = last_feedback("1", "uniqExact(feedback_id) AS number", keys="project_id, task_id")
    flag = current_flag("last_feedback.flag", "logged_flag")
    facts = ",\n        ".join(f"{expression} AS {name}" for name, expression in SESSION_FACTS.items())
    return {
        "feedback": _FEEDBACK,
        "tasks": compose(
            _TASKS,
            flag=current_flag("last_feedback.flag", "task.flag"),
            metadata_text=metadata_text("task"),
            last_feedback=last,
        ),
        "analyses": compose(
            _ANALYSES,
            columns=", ".join(f"analysis.{name} AS {name}" for name in _ANALYSIS_COLUMNS),
            merges=merges(),
        ),
        "themes": compose(_THEMES, current_themes=current_themes()),
        "labels": _LABELS,
        "notes": _NOTES,
        "found_events": found_events(corrections),
        "events": events,
        "sessions": compose(_SESSIONS, facts=facts, flag=flag, last_feedback=last, events=events),
        "definitions": compose(_DEFINITIONS, current_definitions=current_definitions()),
        "dead_letters": _DEAD_LETTERS,
    }


def apply_views(store: Store) -> None:
    """Create every view, and replace it where it is there already. Safe from many processes at once; blocking."""
    for name, query in views().items():
        store.command(f"CREATE OR REPLACE VIEW {name} AS {query}")
