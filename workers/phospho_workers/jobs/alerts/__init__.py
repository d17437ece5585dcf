"""Alerts: evaluated when they are due, and sent when they change."""
