"""The jobs of themes: discovery in a sample of each project's tasks, and assignment of past tasks."""
