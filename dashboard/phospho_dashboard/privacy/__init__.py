"""Forget users, sessions and tasks."""
