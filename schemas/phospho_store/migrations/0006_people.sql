-- Who may look at the pages. No password and no token stands here: argon2's hash of the one, SHA-256 of the other.

CREATE TABLE IF NOT EXISTS person_rows
(
    name           String,
    revision       UInt64,
    role           LowCardinality(String),
    password_hash  String,
    created_at     DateTime64(3, 'UTC'),
    signed_out_at  DateTime64(3, 'UTC'),
    removed_at     Nullable(DateTime64(3, 'UTC')),
    schema_version UInt16 DEFAULT 1
)
ENGINE = ReplacingMergeTree(revision)
ORDER BY name;

CREATE TABLE IF NOT EXISTS sign_in_rows
(
    token_hash     FixedString(64),
    revision       UInt64,
    -- An end holds against every later sight of the browser, which another process may write that has not heard of it.
    precedence     UInt64 MATERIALIZED bitOr(revision, if(isNull(ended_at), toUInt64(0), bitShiftLeft(toUInt64(1), 63))),
    sign_in_id     String,
    name           String,
    created_at     DateTime64(3, 'UTC'),
    seen_at        DateTime64(3, 'UTC'),
    expires_at     DateTime64(3, 'UTC'),
    ended_at       Nullable(DateTime64(3, 'UTC')),
    schema_version UInt16 DEFAULT 1
)
ENGINE = ReplacingMergeTree(precedence)
ORDER BY token_hash
TTL toDateTime(expires_at) + INTERVAL 30 DAY;
