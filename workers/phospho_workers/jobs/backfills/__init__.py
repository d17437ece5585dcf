"""Run a definition over past tasks and sessions."""
