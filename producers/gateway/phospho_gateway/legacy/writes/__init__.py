"""Changes and new tasks of the legacy API, as logs."""
