"""Commands for definitions: their files, their scores, and backfills of past tasks."""
