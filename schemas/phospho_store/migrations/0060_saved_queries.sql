-- Queries that people save for their project.

CREATE TABLE IF NOT EXISTS saved_query_rows
(
    project_id     LowCardinality(String),
    query_id       String,
    revision       UInt64,
    name           String,
    sql            String,
    chart          LowCardinality(String),
    is_deleted     Bool,
    created_by     String,
    created_at     DateTime64(3, 'UTC'),
    schema_version UInt16 DEFAULT 1
)
ENGINE = ReplacingMergeTree(revision)
ORDER BY (project_id, query_id);
