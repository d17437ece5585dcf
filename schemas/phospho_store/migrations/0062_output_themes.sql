-- Themes of outputs, for projects that switch them on. One discovery makes both models, in one version.
ALTER TABLE theme_model_rows ADD COLUMN IF NOT EXISTS output_model String CODEC(ZSTD(3)) AFTER model;
ALTER TABLE theme_rows ADD COLUMN IF NOT EXISTS side LowCardinality(String) DEFAULT 'input' AFTER theme_id;
ALTER TABLE analysis_rows ADD COLUMN IF NOT EXISTS output_theme LowCardinality(String) AFTER theme_version;
ALTER TABLE analysis_rows ADD COLUMN IF NOT EXISTS output_theme_score Float32 AFTER output_theme;
