"""Capture of calls, streams and traces as queued events."""
