"""
`python -m benchmarks.text_index`: what a text index would bring to the search for texts, and what it costs.

Fills a table of its own in an embedded ClickHouse with the inputs and outputs of conversations, in the form that search
compares. It prints the CPU of a search by a scan and by the index, the CPU of building it, and its size.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import orjson

from benchmarks.conversations import logs, source_name
from phospho_store.sql.searchable import searchable_sql
from phospho_store.store import Store, embedded

_TEXT = searchable_sql("concat(input, ' ', output)")
_INDEX = f"ALTER TABLE bench_texts ADD INDEX words {_TEXT} TYPE text(tokenizer = splitByNonAlpha)"
# A phrase and a short word that no text has, and a word that some have.
_SEARCHES = ("quarterly zeppelin", "zzz", "restaurant")
_ROUNDS = 3
_ROWS_AT_ONCE = 20_000


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.text_index", description=main.__doc__)
    parser.add_argument("--tasks", type=int, default=200_000, help="how many (default: 200,000)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="phospho-bench-") as folder:
        store = embedded(str(Path(folder, "data")))
        try:
            _fill(store, options.tasks)
            print(f"{options.tasks:,} tasks; {source_name()}")
            scans = {words: _search_ms(store, words) for words in _SEARCHES}
            print(f"building the index: {_cpu_ms(lambda: _build(store)):,.0f} ms of CPU, {_index_bytes(store):,} bytes")
            for words, scan_ms in scans.items():
                print(f"{words}: scan {scan_ms:,.0f} ms, with the index {_search_ms(store, words):,.0f} ms of CPU")
        finally:
            store.close()


def _fill(store: Store, count: int) -> None:
    columns = "number UInt64, input String, output String"
    store.command(f"CREATE TABLE bench_texts ({columns}) ENGINE = MergeTree ORDER BY number")
    lines = _lines(count)
    while batch := list(islice(lines, _ROWS_AT_ONCE)):
        store.insert("bench_texts", b"\n".join(batch))
    store.command("OPTIMIZE TABLE bench_texts FINAL")


def _lines(count: int) -> Iterator[bytes]:
    for number, log in enumerate(logs(count, "text")):
        yield orjson.dumps({"number": number, "input": log["input"], "output": log["output"]})


def _build(store: Store) -> None:
    store.command(_INDEX)
    store.command("ALTER TABLE bench_texts MATERIALIZE INDEX words SETTINGS mutations_sync = 2")


def _index_bytes(store: Store) -> int:
    sizes = "SELECT sum(data_compressed_bytes) AS size FROM system.data_skipping_indices WHERE table = 'bench_texts'"
    return int(store.rows(sizes)[0]["size"])


def _search_ms(store: Store, words: str) -> float:
    """Return the CPU of a search: by each of its words, which an index can answer, and by the phrase."""
    by_word = " AND ".join(f"{_TEXT} LIKE '%{word}%'" for word in words.split())
    query = f"SELECT count() AS tasks FROM bench_texts WHERE {by_word} AND position({_TEXT}, '{words}') > 0"
    # The cache of conditions would answer all rounds but the first.
    statement = f"{query} SETTINGS use_query_condition_cache = 0"
    return min(_cpu_ms(lambda: store.raw(statement, "TabSeparated")) for _ in range(_ROUNDS))


def _cpu_ms(work: Callable[[], object]) -> float:
    begun_s = time.process_time()
    work()
    return (time.process_time() - begun_s) * 1000


if __name__ == "__main__":
    main()
