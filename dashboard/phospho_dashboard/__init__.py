"""What people look at: the query and management API, and the pages."""
