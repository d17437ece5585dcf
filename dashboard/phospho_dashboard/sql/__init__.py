"""Users' SQL over their own project."""
