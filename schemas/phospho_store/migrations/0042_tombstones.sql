-- What was forgotten: digests of ids, so that a tombstone doesn't tell whose it is. What was logged up to the revision
-- under such an id is stored no more, whenever it is read from a topic.
CREATE TABLE IF NOT EXISTS tombstone_rows
(
    project_id     LowCardinality(String),
    kind           LowCardinality(String),
    digest         String,
    revision       UInt64,
    created_at     DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC'),
    schema_version UInt16 DEFAULT 1
)
ENGINE = ReplacingMergeTree(revision)
ORDER BY (project_id, kind, digest);
