"""The dashboard: the query API and the pages."""
