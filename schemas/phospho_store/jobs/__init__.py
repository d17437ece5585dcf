"""Queues that the jobs work on: backfills, session closes and webhooks."""
