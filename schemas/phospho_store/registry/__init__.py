"""Projects, API keys, people and definitions."""
