-- Boards: charts of Explore that people keep.
CREATE TABLE IF NOT EXISTS board_rows
(
    project_id     LowCardinality(String),
    board_id       String,
    revision       UInt64,
    name           String,
    description    String,
    tiles          Array(Tuple(title String, query String)),
    is_deleted     Bool,
    edited_by      String,
    edited_at      DateTime64(3, 'UTC'),
    schema_version UInt16 DEFAULT 1
)
ENGINE = ReplacingMergeTree(revision)
ORDER BY (project_id, board_id);
