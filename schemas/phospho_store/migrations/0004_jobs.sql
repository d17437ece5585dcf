-- What jobs derive beside the stream: what is found in whole sessions, and how far a backfill is.

-- A session that somebody closed: over, until a task of a greater revision reopens it.
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

-- Which tasks a session has held, of projects where sessions are read: a task that is logged again in another session
-- leaves nothing of the first one in task_rows once its parts have merged.
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

-- What was found in a session as it was: one row a state, with an empty turn, of one that is over; and one row a state
-- of each turn that is read with those before it, with its task's id. The state is the XOR of the hashes of tasks and
-- their revisions, of the whole session, or of the turn and the 20 before it, which is as many as may be read with one.
-- It is part of the identity, as a number that only rises would not tell that a task has left: where the present state
-- has no row, nobody has looked yet.
CREATE TABLE IF NOT EXISTS session_analysis_rows
(
    project_id     LowCardinality(String),
    session_id     String,
    turn           String,
    state          UInt64,
    -- The greatest of the tasks that were read.
    revision       UInt64,
    definitions_revision UInt64,
    -- Where the events stand: the turn's task, or the session's last one.
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
        classifier_version       UInt32,
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

-- One run of one version of a definition over history. A row is its last known state, and where it goes on.
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
