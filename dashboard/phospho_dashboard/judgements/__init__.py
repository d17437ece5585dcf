"""The cost and the quality of judgements of an LLM."""
