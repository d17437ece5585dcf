"""The job that reconciles the ledger."""
