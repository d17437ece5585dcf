"""Reading text: language, sentiment, clauses and embeddings."""
