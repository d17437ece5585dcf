"""The health of the pipeline."""
