-- Facts of the ledger. receipt_rows: one row a request and project, with the identity of each accepted log. Ids of
-- receipts sort by time. RECEIPT_RETENTION_DAYS of phospho_schemas/rows/ledger.py is the TTL of both tables.
CREATE TABLE IF NOT EXISTS receipt_rows
(
    project_id     LowCardinality(String),
    receipt_id     String,
    revision       UInt64,
    source         LowCardinality(String),
    received_at    DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    inserted_at    DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    rejected       Map(LowCardinality(String), UInt32),
    item_kinds     Array(LowCardinality(String)) CODEC(ZSTD(1)),
    item_ids       Array(String) CODEC(ZSTD(3)),
    item_revisions Array(UInt64) CODEC(ZSTD(1)),
    schema_version UInt16 DEFAULT 1,
    INDEX received_at_minmax received_at TYPE minmax GRANULARITY 1,
    INDEX inserted_at_minmax inserted_at TYPE minmax GRANULARITY 1,
    CONSTRAINT known_schema_version CHECK schema_version = 1,
    CONSTRAINT has_identity CHECK project_id != '' AND receipt_id != '',
    CONSTRAINT equal_lengths CHECK length(item_ids) = length(item_kinds) AND length(item_ids) = length(item_revisions)
)
ENGINE = ReplacingMergeTree(revision)
ORDER BY (project_id, receipt_id)
TTL toDateTime(received_at) + INTERVAL 30 DAY
SETTINGS non_replicated_deduplication_window = 10000;

-- One row a deleted item, written before the delete, so that a missing row is never taken for a lost one. The id is a
-- hash: nothing of what a person asked to forget stays here.
CREATE TABLE IF NOT EXISTS deletion_rows
(
    project_id LowCardinality(String),
    item_key  UInt64,
    revision   UInt64,
    reason     LowCardinality(String),
    deleted_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC') CODEC(Delta, ZSTD(1))
)
ENGINE = ReplacingMergeTree(revision)
ORDER BY (project_id, item_key)
TTL toDateTime(deleted_at) + INTERVAL 31 DAY
SETTINGS non_replicated_deduplication_window = 10000;

-- What a person did with a dead letter.
CREATE TABLE IF NOT EXISTS dead_letter_action_rows
(
    project_id     LowCardinality(String),
    dead_letter_id String,
    revision       UInt64,
    action         LowCardinality(String),
    created_by     String,
    created_at     DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    schema_version UInt16 DEFAULT 1
)
ENGINE = ReplacingMergeTree(revision)
ORDER BY (project_id, dead_letter_id)
SETTINGS non_replicated_deduplication_window = 10000;

-- The identity of the log that became a dead letter, where its bytes name one.
ALTER TABLE dead_letter_rows ADD COLUMN IF NOT EXISTS item_kind LowCardinality(String) AFTER headers;
ALTER TABLE dead_letter_rows ADD COLUMN IF NOT EXISTS item_id String AFTER item_kind;
ALTER TABLE dead_letter_rows ADD COLUMN IF NOT EXISTS item_revision UInt64 AFTER item_id;

-- The balance of an hour, recomputed from the facts.
CREATE TABLE IF NOT EXISTS ledger_rows
(
    project_id       LowCardinality(String),
    hour             DateTime64(3, 'UTC'),
    revision         UInt64,
    received         UInt64,
    rejected         Map(LowCardinality(String), UInt64),
    accepted         UInt64,
    stored           UInt64,
    already_known    UInt64,
    replayed         UInt64,
    dead_lettered    UInt64,
    dropped          UInt64,
    deleted          UInt64,
    pending          UInt64,
    missing          UInt64,
    without_receipt  UInt64,
    dead_letters     Map(LowCardinality(String), UInt64),
    missing_ids      Array(String),
    unbalanced_since Nullable(DateTime64(3, 'UTC')),
    checked_at       DateTime64(3, 'UTC'),
    schema_version   UInt16 DEFAULT 1
)
ENGINE = ReplacingMergeTree(revision)
ORDER BY (project_id, hour)
TTL toDateTime(hour) + INTERVAL 400 DAY
SETTINGS non_replicated_deduplication_window = 10000;
