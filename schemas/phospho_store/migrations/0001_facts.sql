-- Facts: one row per identity (project and task); the greatest revision wins. The sort key is the identity and nothing
-- else: a value that can change when a task is sent again (time, session, user, model) would keep two rows for ever.
-- Ids that sort by time (UUIDv7, ours and derived) keep the parts disjoint, so that FINAL has little to merge and the
-- minmax index on created_at prunes. Random ids cost more and change no number.
-- session_bloom: a page reads 50 sessions at once, so its false-positive rate is 1 in 10,000 granules, at 2 KB a granule.
-- With 1 in 100, a page would read a third of all granules in vain.
-- non_replicated_deduplication_window: each table keeps the tokens of its last 10,000 inserts.

CREATE TABLE IF NOT EXISTS task_rows
(
    project_id     LowCardinality(String),
    task_id        String,
    revision       UInt64,
    session_id     String,
    user_id        String,
    version_id     LowCardinality(String),
    created_at     DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    received_at    DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    inserted_at    DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    input          String CODEC(ZSTD(3)),
    output         String CODEC(ZSTD(3)),
    system_prompt  String CODEC(ZSTD(3)),
    flag           LowCardinality(String),
    model          LowCardinality(String),
    tokens_in      Nullable(UInt32),
    tokens_out     Nullable(UInt32),
    latency_ms     Nullable(Float64),
    metadata       JSON(max_dynamic_paths = 64),
    raw_input      String CODEC(ZSTD(3)),
    raw_output     String CODEC(ZSTD(3)),
    source         LowCardinality(String),
    schema_version UInt16 DEFAULT 1,
    INDEX created_at_minmax created_at TYPE minmax GRANULARITY 1,
    INDEX received_at_minmax received_at TYPE minmax GRANULARITY 1,
    -- For jobs, which read the rows that arrived since their last run.
    INDEX inserted_at_minmax inserted_at TYPE minmax GRANULARITY 1,
    INDEX session_bloom session_id TYPE bloom_filter(0.0001) GRANULARITY 1,
    CONSTRAINT known_schema_version CHECK schema_version = 1,
    CONSTRAINT has_identity CHECK project_id != '' AND task_id != '' AND session_id != ''
)
ENGINE = ReplacingMergeTree(revision)
ORDER BY (project_id, task_id)
SETTINGS non_replicated_deduplication_window = 10000;

CREATE TABLE IF NOT EXISTS analysis_rows
(
    project_id      LowCardinality(String),
    task_id         String,
    revision        UInt64,
    definitions_revision UInt64,
    -- Of two analyses of one task, the one of the later task wins, then the one by the later definitions.
    precedence      UInt128 MATERIALIZED bitShiftLeft(toUInt128(revision), 64) + definitions_revision,
    session_id      String,
    user_id         String,
    version_id      LowCardinality(String),
    created_at      DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    inserted_at     DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    language        LowCardinality(String),
    language_score  Float32,
    sentiment       LowCardinality(String),
    sentiment_score Nullable(Float32),
    sentiment_magnitude Nullable(Float32),
    output_language LowCardinality(String),
    output_language_score Float32,
    output_sentiment LowCardinality(String),
    output_sentiment_score Nullable(Float32),
    output_sentiment_magnitude Nullable(Float32),
    language_model  LowCardinality(String),
    sentiment_model LowCardinality(String),
    events          Array(Tuple(
        id                 String,
        name               LowCardinality(String),
        definition_version UInt32,
        engine             LowCardinality(String),
        scope              LowCardinality(String),
        score              Float32,
        evidence           String,
        classifier_version UInt32,
        judge              LowCardinality(String),
        value              Nullable(Float64),
        category           LowCardinality(String)
    )) CODEC(ZSTD(1)),
    -- Events in doubt, found or not; content is a hash of the texts that the definition reads.
    candidates      Array(Tuple(
        id                 String,
        name               LowCardinality(String),
        definition_version UInt32,
        engine             LowCardinality(String),
        scope              LowCardinality(String),
        score              Float32,
        doubt              Float32,
        content            String
    )) CODEC(ZSTD(1)),
    schema_version  UInt16 DEFAULT 1,
    INDEX created_at_minmax created_at TYPE minmax GRANULARITY 1,
    -- For jobs, which read the rows that arrived since their last run.
    INDEX inserted_at_minmax inserted_at TYPE minmax GRANULARITY 1,
    INDEX session_bloom session_id TYPE bloom_filter(0.0001) GRANULARITY 1,
    INDEX event_names events.name TYPE bloom_filter(0.01) GRANULARITY 1,
    CONSTRAINT known_schema_version CHECK schema_version = 1,
    CONSTRAINT has_identity CHECK project_id != '' AND task_id != '' AND session_id != ''
)
ENGINE = ReplacingMergeTree(precedence)
ORDER BY (project_id, task_id)
SETTINGS non_replicated_deduplication_window = 10000;

CREATE TABLE IF NOT EXISTS feedback_rows
(
    project_id     LowCardinality(String),
    task_id        String,
    feedback_id    String,
    revision       UInt64,
    flag           LowCardinality(String),
    score          UInt8,
    comment        String CODEC(ZSTD(3)),
    source         LowCardinality(String),
    created_at     DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    received_at    DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    inserted_at    DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    schema_version UInt16 DEFAULT 1,
    CONSTRAINT known_schema_version CHECK schema_version = 1,
    CONSTRAINT has_identity CHECK project_id != '' AND task_id != '' AND feedback_id != ''
)
ENGINE = ReplacingMergeTree(revision)
ORDER BY (project_id, task_id, feedback_id)
SETTINGS non_replicated_deduplication_window = 10000;

CREATE TABLE IF NOT EXISTS dead_letter_rows
(
    project_id       LowCardinality(String),
    dead_letter_id   String,
    revision         UInt64,
    stage            LowCardinality(String),
    reason           LowCardinality(String),
    detail           String CODEC(ZSTD(3)),
    source_topic     LowCardinality(String),
    source_partition Int32,
    source_offset    Int64,
    payload_base64   String CODEC(ZSTD(3)),
    payload_bytes    UInt64 DEFAULT length(base64Decode(payload_base64)),
    is_truncated     Bool,
    key_base64       String,
    headers          Array(Tuple(String, String)),
    received_at      DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    inserted_at      DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    schema_version   UInt16 DEFAULT 1,
    CONSTRAINT known_schema_version CHECK schema_version = 1,
    CONSTRAINT has_identity CHECK dead_letter_id != ''
)
ENGINE = ReplacingMergeTree(revision)
ORDER BY (project_id, dead_letter_id)
SETTINGS non_replicated_deduplication_window = 10000;
