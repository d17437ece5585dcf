"""From calls of `log`, streams and traces to queued events."""
