-- What followers derive beside the stream: what is found in whole sessions, and how far a backfill is.

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

-- A row says which state of its session it is of. Of a session that is over, one row with an empty turn. Of each turn that is read with those before it, one with the
-- task's id. The revision is the greatest of the tasks that were read: where theirs is another now, the row is of the past.
CREATE TABLE IF NOT EXISTS session_analysis_rows
(
    project_id     LowCardinality(String),
    session_id     String,
    turn           String,
    revision       UInt64,
    definitions_revision UInt64,
    precedence     UInt128 MATERIALIZED bitShiftLeft(toUInt128(revision), 64) + definitions_revision,
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
        head_version       UInt32,
        judge              LowCardinality(String),
        value              Nullable(Float64),
        category           LowCardinality(String)
    )) CODEC(ZSTD(1)),
    schema_version UInt16 DEFAULT 1,
    INDEX inserted_at_minmax inserted_at TYPE minmax GRANULARITY 1,
    INDEX created_at_minmax created_at TYPE minmax GRANULARITY 1
)
ENGINE = ReplacingMergeTree(precedence)
ORDER BY (project_id, session_id, turn);

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
