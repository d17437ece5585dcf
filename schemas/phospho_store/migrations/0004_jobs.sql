-- Rows that jobs derive beside the stream: session events and the progress of backfills.

-- A session that was closed: finished, until a task of a greater revision reopens it.
CREATE TABLE IF NOT EXISTS session_close_rows
(
    project_id     LowCardinality(String),
    session_id     String,
    revision       UInt64,
    created_by     String,
    created_at     DateTime64(3, 'UTC'),
    inserted_at    DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC'),
    schema_version UInt16 DEFAULT 1
)
ENGINE = ReplacingMergeTree(revision)
ORDER BY (project_id, session_id);

-- The tasks that a session has ever held, in projects that read sessions: once a task is logged again in another session
-- and the parts have merged, task_rows no longer shows the first one.
CREATE TABLE IF NOT EXISTS session_task_rows
(
    project_id     LowCardinality(String),
    task_id        String,
    session_id     String,
    created_at     DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    inserted_at    DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    INDEX inserted_at_minmax inserted_at TYPE minmax GRANULARITY 1
)
ENGINE = ReplacingMergeTree
ORDER BY (project_id, task_id, session_id);

-- The events of a session in one state: one row per state of a finished session, with an empty turn, and one row per
-- state of each turn that is read with the ones before it, with its task's id. phospho_store.sql.sessions defines the
-- state. It is part of the identity because a rising number could not show that a task has left the session. If the
-- present state has no row, the session has not been read yet.
CREATE TABLE IF NOT EXISTS session_analysis_rows
(
    project_id     LowCardinality(String),
    session_id     String,
    turn           String,
    state          UInt64,
    -- The greatest revision of the tasks that were read.
    revision       UInt64,
    definitions_revision UInt64,
    -- The task that shows the events: the turn's, or the session's last one.
    task_id        String,
    tasks          UInt32,
    user_id        String,
    version_id     LowCardinality(String),
    created_at     DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    inserted_at    DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    events         Array(Tuple(
        id                 String,
        name               LowCardinality(String),
        definition_version UInt32,
        engine             LowCardinality(String),
        scope              LowCardinality(String),
        score              Float32,
        evidence           String,
        classifier_version UInt32,
        judge              LowCardinality(String),
        value              Nullable(Float64),
        category           LowCardinality(String)
    )) CODEC(ZSTD(1)),
    schema_version UInt16 DEFAULT 1,
    INDEX inserted_at_minmax inserted_at TYPE minmax GRANULARITY 1,
    INDEX created_at_minmax created_at TYPE minmax GRANULARITY 1
)
ENGINE = ReplacingMergeTree(definitions_revision)
ORDER BY (project_id, session_id, turn, state);

-- One run of one version of a definition over history: its state, and the task after which it goes on.
CREATE TABLE IF NOT EXISTS backfill_rows
(
    project_id         LowCardinality(String),
    backfill_id        String,
    revision           UInt64,
    name               String,
    definition_version UInt32,
    from_at            Nullable(DateTime64(3, 'UTC')),
    to_at              Nullable(DateTime64(3, 'UTC')),
    status             LowCardinality(String),
    detail             String,
    after              String,
    tasks              UInt64,
    tasks_done         UInt64,
    events_found       UInt64,
    created_by         String,
    created_at         DateTime64(3, 'UTC'),
    updated_at         DateTime64(3, 'UTC'),
    schema_version     UInt16 DEFAULT 1
)
ENGINE = ReplacingMergeTree(revision)
ORDER BY (project_id, backfill_id);
