"""Extraction: turns the raw logs of clients into tasks and feedback."""
