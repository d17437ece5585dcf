-- Projects, keys and definitions. Written by the API, row by row; read by every process.

CREATE TABLE IF NOT EXISTS project_rows
(
    project_id     String,
    revision       UInt64,
    name           String,
    retention_days UInt32,
    -- JSON: ProjectSettings.
    settings       String,
    created_at     DateTime64(3, 'UTC'),
    schema_version UInt16 DEFAULT 1
)
ENGINE = ReplacingMergeTree(revision)
ORDER BY project_id;

CREATE TABLE IF NOT EXISTS api_key_rows
(
    key_hash       FixedString(64),
    revision       UInt64,
    key_id         String,
    project_id     String,
    prefix         String,
    name           String,
    created_at     DateTime64(3, 'UTC'),
    revoked_at     Nullable(DateTime64(3, 'UTC')),
    schema_version UInt16 DEFAULT 1
)
ENGINE = ReplacingMergeTree(revision)
ORDER BY key_hash;

CREATE TABLE IF NOT EXISTS definition_rows
(
    project_id     String,
    name           String,
    version        UInt32,
    revision       UInt64,
    description    String,
    engine         LowCardinality(String),
    scope          LowCardinality(String),
    keywords       Array(String),
    pattern        String,
    threshold      Nullable(Float64),
    is_last_task   Bool,
    context_turns  UInt8,
    score_range    Tuple(type String, min Float64, max Float64, categories Array(String)),
    judge          LowCardinality(String),
    is_deleted     Bool,
    created_at     DateTime64(3, 'UTC'),
    schema_version UInt16 DEFAULT 1
)
ENGINE = ReplacingMergeTree(revision)
ORDER BY (project_id, name, version);
