"""The API of upstream phospho's clients: they log, read tasks, sessions and projects, and change tasks."""
