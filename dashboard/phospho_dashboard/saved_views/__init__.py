"""Saved views: the filters, the order and the columns of a list under a name, for everyone in the project."""
