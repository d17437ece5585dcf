"""Dead letters: list, edit and replay."""
