"""Judges: an LLM or a local encoder, asked about the events that detection is not sure of. No ClickHouse here."""
