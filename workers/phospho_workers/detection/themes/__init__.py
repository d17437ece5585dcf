"""Themes: groups of similar tasks that nobody defined. Discovery, assignment, names and their evaluation; pure."""
