"""The HTTP gateway: REST and the legacy API, checked event by event and published to `phospho.raw-logs`."""
