"""Jobs: background loops that derive rows from ClickHouse."""
