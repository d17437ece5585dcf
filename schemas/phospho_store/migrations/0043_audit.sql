-- Who changed what, through the pages and the API.
CREATE TABLE IF NOT EXISTS audit_rows
(
    project_id     LowCardinality(String),
    audit_id       String,
    revision       UInt64,
    author         String,
    action         String,
    address        String,
    status         UInt16,
    created_at     DateTime64(3, 'UTC'),
    schema_version UInt16 DEFAULT 1
)
ENGINE = ReplacingMergeTree(revision)
ORDER BY (project_id, audit_id)
TTL toDateTime(created_at) + INTERVAL 400 DAY;
