-- A judgement belongs to one version of a definition and one content (a hash of the texts that it reads). It holds for
-- every task with the same texts, so that a judge is asked once, also after a restart.
CREATE TABLE IF NOT EXISTS judgement_rows
(
    project_id         LowCardinality(String),
    name               String,
    definition_version UInt32,
    content            String,
    revision           UInt64,
    answer             LowCardinality(String),
    score              Float32,
    value              Nullable(Float64),
    category           LowCardinality(String),
    judge              LowCardinality(String),
    model              LowCardinality(String),
    task_id            String,
    call_id            String,
    created_at         DateTime64(3, 'UTC'),
    inserted_at        DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC'),
    schema_version     UInt16 DEFAULT 1,
    INDEX created_at_minmax created_at TYPE minmax GRANULARITY 1
)
ENGINE = ReplacingMergeTree(revision)
ORDER BY (project_id, name, definition_version, content);

-- One row per LLM call: stored before the call with the most that it may cost, replaced after it by the actual cost. The
-- sum of a day is the used budget; ids sort by time, so a day is a range of them.
CREATE TABLE IF NOT EXISTS llm_call_rows
(
    project_id     LowCardinality(String),
    call_id        String,
    revision       UInt64,
    outcome        LowCardinality(String),
    reason         LowCardinality(String),
    left_alone_until Nullable(DateTime64(3, 'UTC')),
    model          LowCardinality(String),
    task_id        String,
    definitions    UInt32,
    tokens_in      UInt32,
    tokens_out     UInt32,
    usd            Float64,
    created_at     DateTime64(3, 'UTC'),
    inserted_at    DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC'),
    schema_version UInt16 DEFAULT 1,
    INDEX created_at_minmax created_at TYPE minmax GRANULARITY 1
)
ENGINE = ReplacingMergeTree(revision)
ORDER BY (project_id, call_id);
