"""The whole pipeline on real servers and in one process, each part against the least that any program must do."""
