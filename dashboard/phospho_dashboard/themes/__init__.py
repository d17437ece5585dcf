"""Themes: the list of them, the page of one, people's edits, and the API of both."""
