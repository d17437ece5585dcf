"""The mathematics of the semantic engine: descriptions as directions, rivals, and scores as confidences."""
