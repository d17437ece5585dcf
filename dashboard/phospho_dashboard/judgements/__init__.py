"""The cost of judgements."""
