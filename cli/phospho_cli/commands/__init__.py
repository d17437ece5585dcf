"""The `phospho` commands that start no process, one a module; what operators run is in `operations`."""
