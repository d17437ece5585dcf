"""`phospho demo`: generated traffic."""
