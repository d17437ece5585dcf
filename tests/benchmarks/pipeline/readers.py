"""
Queries of a reader of ClickHouse, over HTTP; and what planning a view costs.

`python -m benchmarks.pipeline.readers` prints the CPU of a query of each view on an empty store, which is planning;
and of the queries that stand for views in users' SQL, where a project has no corrections. With `--folder`, that of
`benchmarks.dashboard`, it counts the events of that store by the view, by the labels that it has, and without them.
"""

from __future__ import annotations

import argparse
import base64
import http.client
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from urllib.parse import urlencode, urlsplit

from benchmarks.processes import BenchmarkFailed, wait_until
from benchmarks.sizes import PROJECT
from phospho_store.annotations.corrections import read_corrections
from phospho_store.migrations import migrate
from phospho_store.sql.corrections import NO_CORRECTIONS
from phospho_store.store import Store, embedded
from phospho_store.views import views

_TIMEOUT_S = 60.0
_ROUNDS, _QUERIES_OF_A_ROUND = 5, 5


class Reader:
    """Asks by ClickHouse's HTTP interface, with a new connection each time: the server closes those that rest."""

    def __init__(self, url: str) -> None:
        target = urlsplit(url)
        self._host, self._port = target.hostname or "", target.port
        self._headers = {}
        if target.username:
            secret = base64.b64encode(f"{target.username}:{target.password}".encode()).decode()
            self._headers["Authorization"] = f"Basic {secret}"

    def ask(self, sql: str, **parameters: str) -> list[str]:
        """Return the lines of a query's result, as tab-separated text. Raises BenchmarkFailed."""
        query = {"database": "phospho"} | {f"param_{name}": value for name, value in parameters.items()}
        connection = http.client.HTTPConnection(self._host, self._port, timeout=_TIMEOUT_S)
        with closing(connection):
            connection.request("POST", "/?" + urlencode(query), sql.encode(), self._headers)
            answer = connection.getresponse()
            text = answer.read().decode()
        if answer.status != 200:
            raise BenchmarkFailed(f"ClickHouse answers {answer.status} to {sql}: {text[:500]}")
        return text.splitlines()

    def count(self, relation: str) -> int:
        """Return the rows of the benchmark's project in a table or a view."""
        sql = f"SELECT count() FROM {relation} WHERE project_id = {{project:String}}"
        return int(self.ask(sql, project=PROJECT)[0])

    def wait_for_tasks(self, expected: int, timeout_s: float) -> float:
        """
        Return the Unix time at which the views `tasks` and `analyses` both have `expected` rows.

        The tables are asked until they are full, which is cheap; then the views must say the same.
        """
        wait_until(lambda: self.count("task_rows") >= expected, timeout_s, "task_rows was not full")
        wait_until(lambda: self.count("analysis_rows") >= expected, timeout_s, "analysis_rows was not full")
        seen = {view: self.count(view) for view in ("tasks", "analyses")}
        if set(seen.values()) != {expected}:
            raise BenchmarkFailed(f"{expected} tasks were logged, readers see {seen}")
        return time.time()

    def wait_for_merges(self, timeout_s: float) -> None:
        """Return when the server merges nothing any more, so that what was measured before costs nothing now."""
        merging = "SELECT count() FROM system.merges"
        wait_until(lambda: self.ask(merging) == ["0"], timeout_s, "merges went on")

    def queryable(self, task_ids: Sequence[str]) -> list[str]:
        """Return those of `task_ids` that are in the view `tasks` and have their analysis in `analyses`."""
        ids = "[" + ",".join(f"'{task_id}'" for task_id in task_ids) + "]"
        wanted = "WHERE project_id = {project:String} AND task_id IN {ids:Array(String)}"
        sql = f"""
            SELECT logged.task_id
            FROM (SELECT task_id FROM tasks {wanted}) AS logged
            INNER JOIN (SELECT task_id FROM analyses {wanted}) AS analysed ON logged.task_id = analysed.task_id
        """
        return self.ask(sql, project=PROJECT, ids=ids)


def main() -> None:
    """Print a line for each query, of an empty store or of the one in `--folder`."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pipeline.readers", description=main.__doc__)
    parser.add_argument("--folder", type=Path, help="of `benchmarks.dashboard`, which filled a store there")
    folder = parser.parse_args().folder
    with tempfile.TemporaryDirectory(prefix="phospho-bench-") as empty:
        store = embedded(str(folder / "clickhouse" if folder else Path(empty) / "store"))
        with closing(store):
            list(migrate(store))
            print("\n".join(counting(store) if folder else planning(store)))


def planning(store: Store) -> Iterator[str]:
    """Yield the CPU of each query, in milliseconds: of several rounds the least, as others load a machine."""
    without = views(NO_CORRECTIONS)
    relations = {name: name for name in views()}
    relations |= {f"{name}, without corrections": f"({without[name]})" for name in ("events", "sessions")}
    for name, relation in relations.items():
        yield _line(name, [_cpu_ms(store, f"SELECT * FROM {relation}") for _ in range(_ROUNDS)])


def counting(store: Store) -> Iterator[str]:
    """Yield the CPU of counting the events of the project by name, in milliseconds: of several rounds the least."""
    corrections, _ = read_corrections(store, PROJECT)
    relations = {
        "the view": "events",
        "as the project needs it": f"({views(corrections)['events']})",
        "without corrections": f"({views(NO_CORRECTIONS)['events']})",
    }
    for name, relation in relations.items():
        sql = f"SELECT name, count() FROM {relation} WHERE project_id = {{project:String}} GROUP BY name"
        yield _line(name, [_cpu_ms(store, sql, queries=1) for _ in range(_ROUNDS)])


def _line(name: str, milliseconds: Sequence[float]) -> str:
    return f"{name:<32}{min(milliseconds):>8.1f} ms"


def _cpu_ms(store: Store, sql: str, queries: int = _QUERIES_OF_A_ROUND) -> float:
    started_s = time.process_time()
    for _ in range(queries):
        store.rows(sql, {"project": PROJECT})
    return (time.process_time() - started_s) * 1000 / queries


if __name__ == "__main__":
    main()
