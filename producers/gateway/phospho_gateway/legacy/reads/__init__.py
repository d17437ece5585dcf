"""Stored tasks and sessions, read for the legacy API."""
