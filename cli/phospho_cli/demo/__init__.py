"""`phospho demo`: generated conversations, past and live; also the source of sample data."""
