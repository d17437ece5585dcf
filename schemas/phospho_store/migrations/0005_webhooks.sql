-- Webhooks and their deliveries. No secret is stored: it is derived from the installation's key.

CREATE TABLE IF NOT EXISTS webhook_rows
(
    project_id     LowCardinality(String),
    webhook_id     String,
    revision       UInt64,
    url            String,
    event_names    Array(String),
    with_evidence  Bool,
    salt           String,
    is_gone        Bool DEFAULT false,
    is_deleted     Bool,
    created_by     String,
    created_at     DateTime64(3, 'UTC'),
    schema_version UInt16 DEFAULT 1
)
ENGINE = ReplacingMergeTree(revision)
ORDER BY (project_id, webhook_id);

-- The queue: one row per webhook and event, with the state of the delivery. No event is delivered twice.
CREATE TABLE IF NOT EXISTS webhook_delivery_rows
(
    project_id      LowCardinality(String),
    webhook_id      String,
    event_id        String,
    revision        UInt64,
    status          LowCardinality(String),
    attempts        UInt16,
    next_attempt_at DateTime64(3, 'UTC'),
    payload         String CODEC(ZSTD(1)),
    -- The kind and the time of the row by which the event became known: a process that starts goes on from there.
    source          LowCardinality(String) DEFAULT 'task',
    found_at        DateTime64(3, 'UTC'),
    response_status UInt16,
    detail          String,
    created_at      DateTime64(3, 'UTC'),
    schema_version  UInt16 DEFAULT 1
)
ENGINE = ReplacingMergeTree(revision)
ORDER BY (project_id, webhook_id, event_id);
