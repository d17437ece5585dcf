"""Extraction: what a client sent becomes a task."""
