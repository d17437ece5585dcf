"""Publishers of accepted messages."""
