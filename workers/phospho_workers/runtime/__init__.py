"""What the workers share: batches from Kafka, deliveries, commits, dead letters, health."""
