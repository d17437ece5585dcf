"""Definitions: edit, preview, compare, backfill and label."""
