"""Changes: what is different from the period before, as sentences with their evidence."""
