"""Deliver events to webhooks."""
