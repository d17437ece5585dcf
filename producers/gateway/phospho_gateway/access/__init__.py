"""API keys, projects and rate limits of a request."""
