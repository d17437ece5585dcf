"""The mathematics of the semantic engine."""
