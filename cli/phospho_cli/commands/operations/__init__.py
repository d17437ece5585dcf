"""What an operator runs: topics, tables, backups, retention, checks and generated files."""
