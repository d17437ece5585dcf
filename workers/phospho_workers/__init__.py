"""Everything after the topic: extraction, detection, the sink, and the `phospho` command."""
