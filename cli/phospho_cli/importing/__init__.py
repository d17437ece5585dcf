"""`phospho import`: files of logs, read, checked and uploaded."""
