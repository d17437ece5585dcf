-- Logs that are larger than a message, whole: consecutive slices of their JSON. Their tasks have the beginnings of texts.
CREATE TABLE IF NOT EXISTS log_part_rows
(
    project_id     LowCardinality(String),
    task_id        String,
    whole_log_id   String,
    part           UInt32,
    parts          UInt32,
    revision       UInt64,
    text           String CODEC(ZSTD(3)),
    created_at     DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    received_at    DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    inserted_at    DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    schema_version UInt16 DEFAULT 1,
    CONSTRAINT known_schema_version CHECK schema_version = 1,
    CONSTRAINT has_identity CHECK project_id != '' AND task_id != '' AND whole_log_id != ''
)
ENGINE = ReplacingMergeTree(revision)
ORDER BY (project_id, task_id, whole_log_id, part)
SETTINGS non_replicated_deduplication_window = 10000;
ALTER TABLE task_rows ADD COLUMN IF NOT EXISTS whole_log_id String AFTER source;
