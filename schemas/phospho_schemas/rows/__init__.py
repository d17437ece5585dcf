"""The rows of ClickHouse that no topic carries, a module for each thing that people or jobs keep; and the ledger's."""
