"""The runtime of every worker: batches from Kafka, confirmed deliveries, commits, dead letters, health."""
