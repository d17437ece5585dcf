"""The speed of phospho, in ratios that a slow machine leaves as they are. `make bench` writes build/bench.json."""
