-- A key of before may do everything in its project, as it could.
ALTER TABLE api_key_rows
    ADD COLUMN IF NOT EXISTS scopes Array(LowCardinality(String)) DEFAULT ['admin'] AFTER name,
    ADD COLUMN IF NOT EXISTS expires_at Nullable(DateTime64(3, 'UTC')) AFTER created_at;
