-- The labels of each reviewer of a definition, and the tasks that each has in hand.

CREATE TABLE IF NOT EXISTS review_rows
(
    project_id     LowCardinality(String),
    event_name     String,
    task_id        String,
    created_by     String,
    revision       UInt64,
    label          LowCardinality(String),
    held_until     DateTime64(3, 'UTC'),
    created_at     DateTime64(3, 'UTC'),
    schema_version UInt16 DEFAULT 1
)
ENGINE = ReplacingMergeTree(revision)
ORDER BY (project_id, event_name, task_id, created_by);
