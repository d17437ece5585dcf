-- The student of a project: what detection learnt from a sentence encoder about the project's own texts. The last
-- revision is used. `tasks` is how many the project had then; `quality` is JSON. Empty where none is worth it.
CREATE TABLE IF NOT EXISTS student_rows
(
    project_id     LowCardinality(String),
    version        UInt32,
    revision       UInt64,
    encoder        LowCardinality(String),
    tasks          UInt64,
    student        String CODEC(ZSTD(3)),
    quality        String,
    created_at     DateTime64(3, 'UTC'),
    inserted_at    DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC'),
    schema_version UInt16 DEFAULT 1
)
ENGINE = ReplacingMergeTree(revision)
ORDER BY project_id;
