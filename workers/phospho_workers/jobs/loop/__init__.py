"""The loop that every job runs in."""
