-- Labels and notes, written by the API row by row, and the classifiers that are trained on labels.

CREATE TABLE IF NOT EXISTS label_rows
(
    project_id     LowCardinality(String),
    event_name     String,
    task_id        String,
    revision       UInt64,
    event_id       String,
    label          LowCardinality(String),
    value          Nullable(Float64),
    category       String,
    comment        String,
    created_by     String,
    created_at     DateTime64(3, 'UTC'),
    schema_version UInt16 DEFAULT 1
)
ENGINE = ReplacingMergeTree(revision)
ORDER BY (project_id, event_name, task_id);

CREATE TABLE IF NOT EXISTS note_rows
(
    project_id     LowCardinality(String),
    task_id        String,
    note_id        String,
    revision       UInt64,
    text           String,
    created_by     String,
    is_deleted     Bool,
    created_at     DateTime64(3, 'UTC'),
    schema_version UInt16 DEFAULT 1
)
ENGINE = ReplacingMergeTree(revision)
ORDER BY (project_id, task_id, note_id);

CREATE TABLE IF NOT EXISTS classifier_rows
(
    project_id         LowCardinality(String),
    name               String,
    version            UInt32,
    revision           UInt64,
    definition_version UInt32,
    labels_digest      String,
    classifier         String CODEC(ZSTD(1)),
    quality            String,
    created_at         DateTime64(3, 'UTC'),
    schema_version     UInt16 DEFAULT 1
)
ENGINE = ReplacingMergeTree(revision)
ORDER BY (project_id, name, version);
