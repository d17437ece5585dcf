"""From queued events to the server: the queue, the sender's thread, the spool on disk and the transports."""
