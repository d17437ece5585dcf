"""The contract of topics and tables: message models, topics, ids, JSON Schema and examples."""
