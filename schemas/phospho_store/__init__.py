"""Access to the ClickHouse tables: connections, migrations, inserts, and the registry of projects and definitions."""
