-- The JSON text of metadata that the column of JSON can't hold, such as a dotted key or null; else empty. No task of
-- before has one.
ALTER TABLE task_rows ADD COLUMN IF NOT EXISTS metadata_text String CODEC(ZSTD(3)) AFTER metadata;
