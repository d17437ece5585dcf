"""Forgetting a user, a session or a task: tombstones that stages and the sink honour, and the deletion of rows."""
