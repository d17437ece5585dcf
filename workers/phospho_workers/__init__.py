"""Extraction, detection, the sink and the jobs."""
