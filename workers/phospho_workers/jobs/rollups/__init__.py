"""Compute the rollups of hours that have changed."""
