"""Imports in the browser: a file is staged, its columns are mapped, its rows are checked and then logged."""
