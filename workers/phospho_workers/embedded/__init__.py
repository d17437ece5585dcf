"""Engines that run inside this process: ClickHouse as chDB, for `phospho up` and for tests."""
