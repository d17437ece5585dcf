-- Which processes run the jobs of a worker, and which of them share its projects: a generation is a list of members.
CREATE TABLE IF NOT EXISTS job_member_rows
(
    worker         LowCardinality(String),
    member         String,
    is_gone        Bool DEFAULT false,
    seen_at        DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC'),
    schema_version UInt16 DEFAULT 1
)
ENGINE = ReplacingMergeTree(seen_at)
ORDER BY (worker, member)
TTL toDateTime(seen_at) + INTERVAL 1 DAY;

-- An insert under the token of a generation that exists does nothing: the window makes it a compare and set.
CREATE TABLE IF NOT EXISTS job_generation_rows
(
    worker         LowCardinality(String),
    generation     UInt64,
    members        Array(String),
    wait_ms        UInt32,
    created_at     DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC'),
    schema_version UInt16 DEFAULT 1
)
ENGINE = ReplacingMergeTree(generation)
ORDER BY worker
SETTINGS non_replicated_deduplication_window = 10000;
