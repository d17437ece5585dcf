"""Commands for operators: topics, tables, backups, retention, checks and generated files."""
