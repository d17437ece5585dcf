"""Detect events in whole sessions and in turns with their context."""
