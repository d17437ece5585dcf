"""Overview, events, sessions, tasks, users and versions."""
