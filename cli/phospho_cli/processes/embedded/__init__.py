"""The stages in one process: the queue of requests, the pipeline over the embedded store, and its disk."""
