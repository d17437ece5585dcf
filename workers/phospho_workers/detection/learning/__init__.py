"""Classifiers that labels train."""
