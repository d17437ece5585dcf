-- Rollups of hours: what the dashboard counts, by hour, recomputed from facts by a job. An hour counts from 1900, the
-- first year of a DateTime64. Each row is a cell of a dimension: of a model and a version, of a language, of an event, of
-- a user, or the hour itself. Distinct sessions and users are lists of hashes, and latencies a list with their numbers:
-- merging lists costs a tenth of merging states.
-- A computation is one reading of the facts. Readers take an hour's rows of the computation that rollup_hour_rows names.
CREATE TABLE IF NOT EXISTS rollup_rows
(
    project_id     LowCardinality(String),
    dimension      LowCardinality(String),
    hour           Int32 CODEC(Delta, ZSTD(1)),
    value          String,
    version        LowCardinality(String),
    computation    UInt64 CODEC(ZSTD(1)),
    tasks          UInt64 CODEC(T64, ZSTD(1)),
    tokens_in      UInt64 CODEC(T64, ZSTD(1)),
    tokens_out     UInt64 CODEC(T64, ZSTD(1)),
    analysed_tasks UInt64 CODEC(T64, ZSTD(1)),
    events         UInt64 CODEC(T64, ZSTD(1)),
    positive       UInt64 CODEC(T64, ZSTD(1)),
    neutral        UInt64 CODEC(T64, ZSTD(1)),
    negative       UInt64 CODEC(T64, ZSTD(1)),
    successes      UInt64 CODEC(T64, ZSTD(1)),
    failures       UInt64 CODEC(T64, ZSTD(1)),
    sessions       Array(UInt64) CODEC(ZSTD(1)),
    users          Array(UInt64) CODEC(ZSTD(1)),
    latencies      Array(Float32) CODEC(ZSTD(1)),
    latency_counts Array(UInt32) CODEC(T64, ZSTD(1)),
    -- Hashes of the tasks whose ids do not tell their hour: where one is logged again with another time, its first hour
    -- is found by them.
    moved_tasks    Array(UInt64) CODEC(ZSTD(1))
)
ENGINE = ReplacingMergeTree(computation)
ORDER BY (project_id, dimension, hour, value, version);

-- The computation that holds for an hour; 0 where the hour has changed and waits for its next one, from due_ms on.
CREATE TABLE IF NOT EXISTS rollup_hour_rows
(
    project_id     LowCardinality(String),
    hour           Int32,
    revision       UInt64,
    computation    UInt64,
    due_ms         Int64,
    -- For the job, which reads what was marked since its last step.
    INDEX revision_minmax revision TYPE minmax GRANULARITY 1
)
ENGINE = ReplacingMergeTree(revision)
ORDER BY (project_id, hour);

-- Every change that arrived before settled_ms is in rollups, or its hours wait in rollup_hour_rows.
CREATE TABLE IF NOT EXISTS rollup_watermark_rows
(
    name           String,
    settled_ms     Int64
)
ENGINE = ReplacingMergeTree(settled_ms)
ORDER BY name;
