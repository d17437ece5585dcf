"""The client side of the `phospho` command: HTTP to a server, and output on a terminal."""
