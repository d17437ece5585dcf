-- Steps of traces whose tasks came in another export of OpenTelemetry.
CREATE TABLE IF NOT EXISTS step_rows
(
    project_id     LowCardinality(String),
    trace_id       String,
    span_id        String,
    revision       UInt64,
    step           String CODEC(ZSTD(3)),
    created_at     DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    received_at    DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    inserted_at    DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    schema_version UInt16 DEFAULT 1,
    CONSTRAINT known_schema_version CHECK schema_version = 1,
    CONSTRAINT has_identity CHECK project_id != '' AND trace_id != '' AND span_id != ''
)
ENGINE = ReplacingMergeTree(revision)
ORDER BY (project_id, trace_id, span_id)
SETTINGS non_replicated_deduplication_window = 10000;
