"""The endpoint that says where the logs of a request are now."""
