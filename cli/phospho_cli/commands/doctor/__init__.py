"""`phospho doctor`: what is wrong with Kafka, ClickHouse, rights and this machine, and what to do."""
