"""The `phospho` commands that start no process, one a module."""
