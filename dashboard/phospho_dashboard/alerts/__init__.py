"""Alerts of a project."""
