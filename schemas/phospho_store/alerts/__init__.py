"""Alerts: their readings of metrics, their states, and the rows of both."""
