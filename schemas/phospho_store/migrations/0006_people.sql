-- The people who may use the pages, and their sign-ins. Passwords are stored as argon2 hashes, tokens as SHA-256.

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
    -- An ended sign-in wins over later rows of other processes, which may not know that it has ended.
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
