-- What readers use. FINAL stands here once, so that nobody has to remember it. Every value is a function of what was
-- logged: the time of arrival and the revision, which a second import changes, stay in the tables.

CREATE OR REPLACE VIEW feedback AS
SELECT project_id, task_id, feedback_id, flag, score, comment, source, created_at
FROM feedback_rows FINAL;

CREATE OR REPLACE VIEW tasks AS
SELECT
    t.project_id AS project_id,
    t.task_id AS task_id,
    t.session_id AS session_id,
    t.user_id AS user_id,
    t.version_id AS version_id,
    t.created_at AS created_at,
    t.input AS input,
    t.output AS output,
    t.system_prompt AS system_prompt,
    -- The last feedback comes before what was logged with the task; of two at once, the one of the greater id.
    if(f.flag != '', f.flag, t.flag) AS flag,
    t.model AS model,
    t.tokens_in AS tokens_in,
    t.tokens_out AS tokens_out,
    t.latency_ms AS latency_ms,
    t.metadata AS metadata,
    t.raw_input AS raw_input,
    t.raw_output AS raw_output,
    t.source AS source
FROM (SELECT * FROM task_rows FINAL) AS t
LEFT ANY JOIN
(
    SELECT project_id, task_id, argMax(toString(feedback_rows.flag), (feedback_rows.revision, feedback_rows.feedback_id)) AS flag
    FROM feedback_rows
    GROUP BY project_id, task_id
) AS f
ON t.project_id = f.project_id AND t.task_id = f.task_id;

CREATE OR REPLACE VIEW analyses AS
SELECT
    project_id, task_id, session_id, user_id, version_id, created_at,
    language, language_score, sentiment, sentiment_score, sentiment_magnitude,
    output_language, output_language_score, output_sentiment, output_sentiment_score, output_sentiment_magnitude,
    language_model, sentiment_model,
    events.name AS event_names
FROM analysis_rows FINAL;

CREATE OR REPLACE VIEW labels AS
SELECT project_id, event_name, task_id, label, value, category, comment, created_by, created_at
FROM label_rows FINAL
WHERE label != '';

CREATE OR REPLACE VIEW notes AS
SELECT project_id, task_id, note_id, text, created_by, created_at
FROM note_rows FINAL
WHERE NOT is_deleted;

-- What was found, after judgements, and in sessions as they are now. What a judge denied is not there; what was
-- nearly found is there where a judge affirmed it. A judgement is of one version of a definition and of one content: on an
-- earlier version, or on what the task said before, it matches nothing. What was found in a session before a task came
-- or left is not of its present state.
CREATE OR REPLACE VIEW found_events AS
SELECT
    a.project_id AS project_id,
    a.task_id AS task_id,
    a.session_id AS session_id,
    a.user_id AS user_id,
    a.version_id AS version_id,
    a.created_at AS created_at,
    a.event AS event,
    if(a.is_found, tupleElement(a.event, 'score'), v.score) AS score,
    toString(v.judge) AS judge,
    v.value AS value,
    toString(v.category) AS category
FROM
(
    SELECT
        project_id, task_id, session_id, user_id, version_id, created_at,
        tupleElement(open, 1) AS event,
        tupleElement(open, 2) AS content,
        tupleElement(open, 3) AS is_found
    FROM
    (
        SELECT
            project_id, task_id, session_id, user_id, version_id, created_at,
            arrayConcat(
                arrayMap(
                    e -> (e, candidates.content[indexOf(candidates.name, tupleElement(e, 'name'))], 1),
                    events
                ),
                arrayMap(
                    c -> (
                        CAST(
                            (
                                tupleElement(c, 'id'), tupleElement(c, 'name'), tupleElement(c, 'definition_version'),
                                tupleElement(c, 'engine'), tupleElement(c, 'scope'), tupleElement(c, 'score'),
                                '', 0, '', NULL, ''
                            ),
                            toTypeName(defaultValueOfArgumentType(events[1]))
                        ),
                        tupleElement(c, 'content'),
                        0
                    ),
                    arrayFilter(c -> NOT has(events.name, tupleElement(c, 'name')), candidates)
                )
            ) AS opens
        FROM (SELECT * FROM analysis_rows FINAL)
    )
    ARRAY JOIN opens AS open
) AS a
LEFT ANY JOIN (SELECT * FROM judgement_rows FINAL WHERE answer != '') AS v
ON a.project_id = v.project_id AND tupleElement(a.event, 'name') = v.name
    AND tupleElement(a.event, 'definition_version') = v.definition_version AND a.content = v.content
WHERE if(v.answer = '', a.is_found, v.answer = 'yes')
UNION ALL
SELECT
    f.project_id AS project_id,
    f.task_id AS task_id,
    f.session_id AS session_id,
    f.user_id AS user_id,
    f.version_id AS version_id,
    f.created_at AS created_at,
    f.event AS event,
    tupleElement(f.event, 'score') AS score,
    '' AS judge,
    NULL AS value,
    '' AS category
FROM
(
    SELECT project_id, session_id, turn, state, task_id, user_id, version_id, created_at, event
    FROM (SELECT * FROM session_analysis_rows FINAL)
    ARRAY JOIN events AS event
) AS f
INNER JOIN
(
    SELECT project_id, session_id, '' AS turn, groupBitXor(sipHash64(task_id, task_rows.revision)) AS state
    FROM task_rows FINAL
    WHERE (project_id, session_id) IN
        (SELECT project_id, session_id FROM session_analysis_rows WHERE turn = '' AND notEmpty(events.name))
    GROUP BY project_id, session_id
    UNION ALL
    SELECT
        project_id, session_id, task_id AS turn,
        groupBitXor(sipHash64(task_id, task_rows.revision)) OVER
            (PARTITION BY project_id, session_id ORDER BY created_at, task_id ROWS BETWEEN 20 PRECEDING AND CURRENT ROW)
            AS state
    FROM task_rows FINAL
    WHERE (project_id, session_id) IN
        (SELECT project_id, session_id FROM session_analysis_rows WHERE turn != '' AND notEmpty(events.name))
) AS present
ON f.project_id = present.project_id AND f.session_id = present.session_id AND f.turn = present.turn
    AND f.state = present.state;

-- What was found, as people corrected it: without what was rejected, and with what a person added.
CREATE OR REPLACE VIEW events AS
SELECT
    e.project_id AS project_id,
    tupleElement(e.event, 'id') AS id,
    tupleElement(e.event, 'name') AS name,
    e.task_id AS task_id,
    e.session_id AS session_id,
    e.user_id AS user_id,
    e.version_id AS version_id,
    e.created_at AS created_at,
    tupleElement(e.event, 'definition_version') AS definition_version,
    tupleElement(e.event, 'engine') AS engine,
    tupleElement(e.event, 'scope') AS scope,
    e.score AS score,
    tupleElement(e.event, 'evidence') AS evidence,
    tupleElement(e.event, 'classifier_version') AS classifier_version,
    if(e.judge = '', toString(tupleElement(e.event, 'judge')), e.judge) AS judge,
    coalesce(l.value, e.value, tupleElement(e.event, 'value')) AS value,
    multiIf(l.category != '', l.category, e.category != '', e.category, toString(tupleElement(e.event, 'category')))
        AS category,
    l.label AS label
FROM found_events AS e
LEFT ANY JOIN (SELECT * FROM label_rows FINAL WHERE label != '') AS l
ON e.project_id = l.project_id AND e.task_id = l.task_id AND tupleElement(e.event, 'name') = l.event_name
WHERE l.label != 'rejected'
UNION ALL
SELECT
    l.project_id AS project_id,
    l.event_id AS id,
    l.event_name AS name,
    l.task_id AS task_id,
    t.session_id AS session_id,
    t.user_id AS user_id,
    t.version_id AS version_id,
    t.created_at AS created_at,
    0 AS definition_version,
    'person' AS engine,
    'task' AS scope,
    1 AS score,
    '' AS evidence,
    0 AS classifier_version,
    '' AS judge,
    l.value AS value,
    l.category AS category,
    l.label AS label
FROM (SELECT * FROM label_rows FINAL WHERE label = 'confirmed') AS l
INNER JOIN
(
    SELECT project_id, task_id, session_id, user_id, version_id, created_at, mapped.names AS names
    FROM (SELECT * FROM task_rows FINAL WHERE (project_id, task_id) IN (SELECT project_id, task_id FROM label_rows)) AS t
    LEFT ANY JOIN
    (
        SELECT project_id, task_id, groupArray(toString(tupleElement(event, 'name'))) AS names
        FROM found_events
        WHERE (project_id, task_id) IN (SELECT project_id, task_id FROM label_rows)
        GROUP BY project_id, task_id
    ) AS mapped
    ON t.project_id = mapped.project_id AND t.task_id = mapped.task_id
) AS t
ON l.project_id = t.project_id AND l.task_id = t.task_id
WHERE NOT has(t.names, l.event_name);

CREATE OR REPLACE VIEW sessions AS
SELECT
    t.project_id AS project_id,
    t.session_id AS session_id,
    t.first_task_at AS first_task_at,
    t.last_task_at AS last_task_at,
    t.tasks AS tasks,
    t.user_ids AS user_ids,
    t.version_ids AS version_ids,
    t.models AS models,
    t.tokens_in AS tokens_in,
    t.tokens_out AS tokens_out,
    t.successes AS successes,
    t.failures AS failures,
    t.feedback AS feedback,
    e.events AS events,
    e.event_names AS event_names,
    a.languages AS languages,
    a.sentiment_score AS sentiment_score
FROM
(
    SELECT
        task.project_id AS project_id,
        task.session_id AS session_id,
        min(task.created_at) AS first_task_at,
        max(task.created_at) AS last_task_at,
        count() AS tasks,
        arraySlice(arraySort(groupUniqArrayIf(task.user_id, task.user_id != '')), 1, 100) AS user_ids,
        arraySlice(arraySort(groupUniqArrayIf(toString(task.version_id), task.version_id != '')), 1, 100) AS version_ids,
        arraySlice(arraySort(groupUniqArrayIf(toString(task.model), task.model != '')), 1, 100) AS models,
        sum(ifNull(task.tokens_in, 0)) AS tokens_in,
        sum(ifNull(task.tokens_out, 0)) AS tokens_out,
        countIf(if(last_feedback.flag != '', last_feedback.flag, task.flag) = 'success') AS successes,
        countIf(if(last_feedback.flag != '', last_feedback.flag, task.flag) = 'failure') AS failures,
        sum(last_feedback.facts) AS feedback
    FROM
    (
        SELECT project_id, task_id, session_id, created_at, user_id, version_id, model, tokens_in, tokens_out, flag
        FROM task_rows FINAL
    ) AS task
    LEFT ANY JOIN
    (
        SELECT
            project_id, task_id,
            uniqExact(feedback_id) AS facts,
            argMax(toString(feedback_rows.flag), (feedback_rows.revision, feedback_rows.feedback_id)) AS flag
        FROM feedback_rows
        GROUP BY project_id, task_id
    ) AS last_feedback
    ON task.project_id = last_feedback.project_id AND task.task_id = last_feedback.task_id
    GROUP BY project_id, session_id
) AS t
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
) AS a
ON t.project_id = a.project_id AND t.session_id = a.session_id
LEFT ANY JOIN
(
    SELECT
        project_id,
        session_id,
        count() AS events,
        arraySlice(arraySort(groupUniqArray(toString(name))), 1, 100) AS event_names
    FROM events
    GROUP BY project_id, session_id
) AS e
ON t.project_id = e.project_id AND t.session_id = e.session_id;

CREATE OR REPLACE VIEW definitions AS
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
FROM (SELECT * FROM definition_rows FINAL ORDER BY project_id, name, version DESC LIMIT 1 BY project_id, name)
WHERE NOT is_deleted;

CREATE OR REPLACE VIEW dead_letters AS
SELECT
    project_id,
    dead_letter_id,
    stage,
    reason,
    detail,
    source_topic,
    source_partition,
    source_offset,
    base64Decode(payload_base64) AS payload,
    payload_bytes,
    is_truncated,
    received_at
FROM dead_letter_rows FINAL;
