"""The commands that run a server or a worker."""
