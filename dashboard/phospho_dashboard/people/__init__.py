"""The people who may sign in: signing in, one's own account, and the list that admins keep."""
