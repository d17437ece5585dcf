"""Delivery of queued events: the queue, the sender's thread, the spool on disk and the transports."""
