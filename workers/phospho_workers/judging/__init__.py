"""Judgements: what an LLM or a local encoder says of tasks that detection is not sure of. No ClickHouse here."""
