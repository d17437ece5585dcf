"""Ask an LLM or a local encoder about uncertain events."""
