"""The ledger: what became of each log that was accepted."""
