-- The theme of a task, found by the project's theme model of that version; empty where it is near none.
ALTER TABLE analysis_rows ADD COLUMN IF NOT EXISTS theme LowCardinality(String) AFTER sentiment_model;
ALTER TABLE analysis_rows ADD COLUMN IF NOT EXISTS theme_score Float32 AFTER theme;
ALTER TABLE analysis_rows ADD COLUMN IF NOT EXISTS theme_version UInt32 AFTER theme_score;
-- 256 bits that are alike for similar inputs: search by meaning scans them. They don't compress.
ALTER TABLE analysis_rows ADD COLUMN IF NOT EXISTS meaning Tuple(UInt64, UInt64, UInt64, UInt64) CODEC(NONE) AFTER theme_version;
-- The last model of a project is used. `tasks` is how many the project had then, `texts` how many the sample.
CREATE TABLE IF NOT EXISTS theme_model_rows
(
    project_id     LowCardinality(String),
    version        UInt32,
    revision       UInt64,
    tasks          UInt64,
    texts          UInt32,
    model          String CODEC(ZSTD(3)),
    created_at     DateTime64(3, 'UTC'),
    inserted_at    DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC'),
    schema_version UInt16 DEFAULT 1
)
ENGINE = ReplacingMergeTree(revision)
ORDER BY project_id;
CREATE TABLE IF NOT EXISTS theme_rows
(
    project_id     LowCardinality(String),
    theme_id       String,
    revision       UInt64,
    version        UInt32,
    title          String,
    phrases        Array(String),
    examples       Array(String),
    texts          UInt32,
    group_id       String,
    group_title    String,
    x              Float64,
    y              Float64,
    created_at     DateTime64(3, 'UTC'),
    inserted_at    DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC'),
    schema_version UInt16 DEFAULT 1
)
ENGINE = ReplacingMergeTree(revision)
ORDER BY (project_id, theme_id);
CREATE TABLE IF NOT EXISTS theme_fact_rows
(
    project_id     LowCardinality(String),
    version        UInt32,
    theme_id       String,
    kind           LowCardinality(String),
    revision       UInt64,
    other_id       String,
    share          Float64,
    created_at     DateTime64(3, 'UTC'),
    inserted_at    DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC'),
    schema_version UInt16 DEFAULT 1
)
ENGINE = ReplacingMergeTree(revision)
ORDER BY (project_id, version, theme_id, kind);
-- What people changed: it wins over what discovery finds.
CREATE TABLE IF NOT EXISTS theme_edit_rows
(
    project_id     LowCardinality(String),
    theme_id       String,
    revision       UInt64,
    title          String,
    is_hidden      Bool,
    is_pinned      Bool,
    merged_into    String,
    split_at       Nullable(DateTime64(3, 'UTC')),
    edited_by      String,
    edited_at      DateTime64(3, 'UTC'),
    inserted_at    DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC'),
    schema_version UInt16 DEFAULT 1
)
ENGINE = ReplacingMergeTree(revision)
ORDER BY (project_id, theme_id);
CREATE TABLE IF NOT EXISTS theme_refresh_rows
(
    project_id     LowCardinality(String),
    revision       UInt64,
    requested_by   String,
    requested_at   DateTime64(3, 'UTC'),
    inserted_at    DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC'),
    schema_version UInt16 DEFAULT 1
)
ENGINE = ReplacingMergeTree(revision)
ORDER BY project_id;
-- How far the past tasks have the themes of a model, the newest first.
CREATE TABLE IF NOT EXISTS theme_run_rows
(
    project_id     LowCardinality(String),
    version        UInt32,
    revision       UInt64,
    status         LowCardinality(String),
    tasks          UInt64,
    tasks_done     UInt64,
    before_at      Nullable(DateTime64(3, 'UTC')),
    before_id      String,
    updated_at     DateTime64(3, 'UTC'),
    inserted_at    DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC'),
    schema_version UInt16 DEFAULT 1
)
ENGINE = ReplacingMergeTree(revision)
ORDER BY project_id;
