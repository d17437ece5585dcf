-- Views of lists, that people save for their project: the query of an address under a name.

CREATE TABLE IF NOT EXISTS saved_view_rows
(
    project_id     LowCardinality(String),
    view_id        String,
    revision       UInt64,
    page           LowCardinality(String),
    name           String,
    query          String,
    is_deleted     Bool,
    created_by     String,
    created_at     DateTime64(3, 'UTC'),
    schema_version UInt16 DEFAULT 1
)
ENGINE = ReplacingMergeTree(revision)
ORDER BY (project_id, view_id);
