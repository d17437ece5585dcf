"""Quality and speed of detection, and of finding themes."""
