"""Train classifiers when labels or definitions change."""
