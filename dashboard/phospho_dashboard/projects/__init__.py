"""Projects, their settings and API keys."""
