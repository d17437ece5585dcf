"""The `phospho` commands that start a process; processes/ puts each together."""
