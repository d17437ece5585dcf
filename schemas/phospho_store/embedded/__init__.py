"""ClickHouse inside this process (chDB), and its HTTP interface."""
