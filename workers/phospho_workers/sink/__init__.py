"""Sink: inserts the messages of four topics as rows of ClickHouse."""
