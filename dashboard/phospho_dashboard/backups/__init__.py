"""Back up the embedded store."""
