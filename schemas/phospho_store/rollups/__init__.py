"""Rollups of hours: which hold, which hours have changed, and their computation from facts."""
