"""Detection: which of a project's events a task shows, its language and its sentiment."""
