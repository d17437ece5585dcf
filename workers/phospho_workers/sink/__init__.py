"""The sink: rows of the topics become rows of ClickHouse."""
