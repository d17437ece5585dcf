"""Labels, flags and notes on tasks."""
