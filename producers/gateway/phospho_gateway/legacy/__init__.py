"""What upstream phospho's clients ask beside logging: to read tasks, sessions and projects, and to change tasks."""
