-- Alerts, and their evaluations. A channel is a webhook with the id of its alert, so deliveries have one queue.

CREATE TABLE IF NOT EXISTS alert_rows
(
    project_id     LowCardinality(String),
    alert_id       String,
    revision       UInt64,
    name           String,
    metric         LowCardinality(String),
    subject        String,
    filters        Map(LowCardinality(String), String),
    condition      LowCardinality(String),
    threshold      Float64,
    window_minutes UInt32,
    min_cases      UInt32,
    resolve_after  UInt8,
    muted_until_at Nullable(DateTime64(3, 'UTC')),
    is_deleted     Bool,
    created_by     String,
    created_at     DateTime64(3, 'UTC'),
    schema_version UInt16 DEFAULT 1
)
ENGINE = ReplacingMergeTree(revision)
ORDER BY (project_id, alert_id);

-- Changes stay for as long as the ledger; evaluations without one for a month.
CREATE TABLE IF NOT EXISTS alert_evaluation_rows
(
    project_id     LowCardinality(String),
    alert_id       String,
    theme          String,
    evaluated_at   DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    revision       UInt64,
    status         LowCardinality(String),
    change         LowCardinality(String),
    since_at       DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    clear_count    UInt8,
    value          Nullable(Float64),
    cases          UInt64,
    baseline       Nullable(Float64),
    is_muted       Bool,
    inserted_at    DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    schema_version UInt16 DEFAULT 1,
    INDEX inserted_at_minmax inserted_at TYPE minmax GRANULARITY 1
)
ENGINE = ReplacingMergeTree(revision)
ORDER BY (project_id, alert_id, theme, evaluated_at)
TTL toDateTime(evaluated_at) + INTERVAL 31 DAY DELETE WHERE change = '', toDateTime(evaluated_at) + INTERVAL 400 DAY;

-- How messages are written to a receiver, and the alert whose changes it gets; empty of one that gets events.
ALTER TABLE webhook_rows ADD COLUMN IF NOT EXISTS format LowCardinality(String) DEFAULT 'webhook' AFTER with_evidence;
ALTER TABLE webhook_rows ADD COLUMN IF NOT EXISTS alert_id String AFTER format;
