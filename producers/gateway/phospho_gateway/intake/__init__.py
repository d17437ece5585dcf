"""From the body of a request to durable messages of `phospho.raw-logs`."""
