"""One module per `phospho` command."""
