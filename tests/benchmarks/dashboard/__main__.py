"""
`python -m benchmarks.dashboard --tasks 10000000`: every page on a large store, for 30 days and for all.

A page is asked as a browser asks for it; its JSON twin and the API run the same function. What is printed, and written
to build/bench-dashboard.json: p50 and p95 of each page and of each query in it, CPU, rows and bytes read, memory.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import urlencode

import orjson
from starlette.testclient import TestClient

from benchmarks.conversations import REPOSITORY
from benchmarks.dashboard.filled_store import DAYS, Filling, fill
from benchmarks.dashboard.measured_store import Measured, MeasuredStore
from benchmarks.machine import commit, machine
from benchmarks.sizes import PROJECT, say
from fixtures.clickhouse_server import ClickHouseServer
from phospho_cli.processes.web import build_integrations
from phospho_dashboard.app import create_app
from phospho_dashboard.services import create_services
from phospho_dashboard.settings import DashboardSettings, Price, Prices
from phospho_schemas.ids import HybridClock
from phospho_store.clickhouse import remote
from phospho_store.migrations import migrate
from phospho_store.registry.authentication import Authenticator
from phospho_store.registry.registry import Registry
from phospho_store.rollups.rollups import Rollups
from phospho_store.store import DATABASE, Store
from phospho_workers.jobs.rollups.rollup_job import RollupJob
from phospho_workers.jobs.settings import JobSettings

# The aims of the pages on two cores, in seconds at p95, by the period.
AIMS_S = {"30d": 0.3, "all": 1.0}
# Of one statement: the merge of everything is the longest.
_FILL_TIMEOUT_S = 3600
_PRICES = Prices("USD", {"large-2": Price(2.5, 10.0), "small-2": Price(0.15, 0.6)})

# The pages that are asked before rollups are computed, and again after it.
_FROM_FACTS = ("dashboard",)
# A name, the path, and what the URL narrows it to.
_PAGES: tuple[tuple[str, str, dict[str, str]], ...] = (
    ("dashboard", "/", {}),
    ("dashboard, one model", "/", {"model": "large-3"}),
    ("dashboard, one event", "/", {"event": "event-3"}),
    ("dashboard, one user", "/", {"user": "{user}"}),
    ("sessions", "/sessions", {}),
    ("sessions, most tokens", "/sessions", {"sort": "tokens"}),
    ("sessions, one event", "/sessions", {"event": "event-3"}),
    ("tasks", "/tasks", {}),
    ("tasks, slowest", "/tasks", {"sort": "slowest"}),
    ("tasks, failures", "/tasks", {"flag": "failure"}),
    ("tasks, a frequent phrase", "/tasks", {"q": "refund"}),
    ("tasks, no such phrase", "/tasks", {"q": "zebra crossing"}),
    ("events", "/events", {}),
    ("one event", "/events/event-3", {}),
    ("users", "/users", {}),
    ("versions", "/versions", {}),
    ("changes", "/changes", {}),
    ("explore, event rate by event", "/explore", {"metric": "event_rate", "by": "event"}),
    ("explore, latency by version", "/explore", {"metric": "latency_p95", "by": "version"}),
    ("one session", "/sessions/{session}", {}),
    ("one task", "/tasks/{task}", {}),
)


def main() -> None:
    """Fill a store, ask every page of it, write the file, and print the table."""
    options = _options()
    with tempfile.TemporaryDirectory(prefix="phospho-bench-") as folder:
        store = (options.folder or Path(folder)) / "clickhouse"
        periods = options.period or tuple(AIMS_S)
        report = measured(store, options.tasks, options.rounds, days=options.days, periods=periods, names=options.page)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_bytes(orjson.dumps(report, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    print("\n".join(table(report["pages"])))
    say(f"written: {options.output}")


def measured(
    folder: Path,
    tasks: int,
    rounds: int,
    *,
    days: int = DAYS,
    periods: Sequence[str] = tuple(AIMS_S),
    names: Sequence[str] | None = None,
) -> dict[str, Any]:
    """Return what was measured, and on what. A store that is in `folder` is taken as it is."""
    with ClickHouseServer(folder) as server:
        setup = remote(server.url)
        list(migrate(setup))
        is_new = not setup.rows("SELECT 1 FROM task_rows LIMIT 1")
        setup.close()
        writer = Store(lambda _: server.client(DATABASE, send_receive_timeout=_FILL_TIMEOUT_S), 1)
        if is_new:
            for count in fill(writer, Filling(PROJECT, tasks, time.time_ns() // 1_000_000, days)):
                say(f"{count:,} tasks are stored")
        store = MeasuredStore(server)
        pages = list(_pages(store, periods, rounds, _FROM_FACTS)) if is_new else []
        job = RollupJob(Rollups(writer))
        while job.step():
            pass
        say("rollups are computed")
        pages += _pages(store, periods, rounds, names or [])
        sizes = writer.rows(
            "SELECT table, count() AS parts, sum(rows) AS rows, sum(bytes_on_disk) AS bytes FROM system.parts"
            " WHERE active AND database = currentDatabase() GROUP BY table ORDER BY bytes DESC"
        )
        store.close()
        writer.close()
    return {"tasks": tasks, "rounds": rounds, "commit": commit(), "machine": machine(), "tables": sizes, "pages": pages}


def table(pages: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Yield the lines of a table: each page, and under it those of its queries that take a tenth of it or more."""
    yield f"{'':<44}{'p50 ms':>9}{'p95 ms':>9}{'CPU ms':>9}{'rows':>13}{'MB read':>9}{'MB held':>9}"
    for page in pages:
        yield from _lines(page)


def _pages(store: MeasuredStore, periods: Sequence[str], rounds: int, names: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Ask pages by their names, all where none is given; those of _FROM_FACTS before any hour is in rollups."""
    examples = _examples(store)
    with _browser(store) as browser:
        for period, (name, path, query) in product(periods, _PAGES):
            if names and name not in names:
                continue
            narrowed = {key: value.format(**examples) for key, value in query.items()}
            url = f"{path.format(**examples)}?{urlencode({'project': PROJECT, 'period': period, **narrowed})}"
            page = _asked(store, browser, url, rounds)
            name = f"{name}, from facts" if names is _FROM_FACTS else name
            say("\n".join(_lines({"page": name, "period": period, **page})))
            yield {"page": name, "period": period, "url": url, **page}


def _asked(store: MeasuredStore, browser: TestClient, url: str, rounds: int) -> dict[str, Any]:
    """Ask a page once to warm up, where every query of it is looked at for memory, and then `rounds` times."""
    seconds, queries = [], []
    for _ in range(rounds + 1):
        store.measured.clear()
        started_s = time.perf_counter()
        browser.get(url).raise_for_status()
        seconds.append(time.perf_counter() - started_s)
        queries.append(list(store.measured))
    shared = {query.sql for query in queries[1]}
    by_sql = {sql: [query for round_ in queries for query in round_ if query.sql == sql] for sql in shared}
    order = [query.sql for query in queries[1]]
    return {
        **_times(seconds[1:]),
        "cpu_s": median(sum(query.cpu_s for query in round_) for round_ in queries),
        "rows_read": sum(query.rows_read for query in queries[1]),
        "bytes_read": sum(query.bytes_read for query in queries[1]),
        "memory_bytes": max(query.memory_bytes for round_ in queries for query in round_),
        "queries": [_query(sql, by_sql[sql]) for sql in dict.fromkeys(order)],
    }


def _query(sql: str, runs: Sequence[Measured]) -> dict[str, Any]:
    last = runs[-1]
    memory = max(run.memory_bytes for run in runs)
    times = _times([run.seconds for run in runs]) | {"cpu_s": median(run.cpu_s for run in runs)}
    return {**times, "rows_read": last.rows_read, "bytes_read": last.bytes_read, "memory_bytes": memory, "sql": sql}


def _times(seconds: Sequence[float]) -> dict[str, float]:
    """Return the median and the 95th percentile: of few values, the greatest."""
    ordered = sorted(seconds)
    return {"p50_s": ordered[len(ordered) // 2], "p95_s": ordered[min(len(ordered) * 95 // 100, len(ordered) - 1)]}


def _lines(page: dict[str, Any]) -> Iterator[str]:
    mark = "" if page["p95_s"] <= AIMS_S[page["period"]] else "  misses its aim"
    yield _line(f"{page['page']} ({page['period']})", page) + mark
    for number, query in enumerate(page["queries"], 1):
        if query["p50_s"] >= page["p50_s"] / 10:
            yield _line(f"  {number}. {' '.join(query['sql'].split())[:36]}", query)


def _line(name: str, found: dict[str, Any]) -> str:
    return (
        f"{name:<44}{found['p50_s'] * 1000:>9,.0f}{found['p95_s'] * 1000:>9,.0f}"
        f"{found['cpu_s'] * 1000:>9,.0f}{found['rows_read']:>13,}"
        f"{found['bytes_read'] / 1e6:>9,.0f}{found['memory_bytes'] / 1e6:>9,.0f}"
    )


def _examples(store: MeasuredStore) -> dict[str, str]:
    """Return a task of half a month ago with its session and its user."""
    sql = (
        "SELECT task_id AS task, session_id AS session, user_id AS user FROM task_rows"
        " WHERE project_id = {project:String} AND user_id != '' AND created_at > now() - INTERVAL 15 DAY LIMIT 1"
    )
    [row] = store.rows(sql, {"project": PROJECT})
    return {name: str(value) for name, value in row.items()}


@contextmanager
def _browser(store: MeasuredStore) -> Iterator[TestClient]:
    registry = Registry(store)
    settings = DashboardSettings(pages_open=True, prices=_PRICES)
    integrations = build_integrations(store, HybridClock(), JobSettings())
    services = create_services(settings, store, registry, Authenticator(registry))
    with TestClient(create_app(services, integrations), "http://127.0.0.1:8420") as client:
        yield client


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.dashboard", description=main.__doc__)
    parser.add_argument("--tasks", type=int, default=10_000_000, help="a tenth as many sessions")
    parser.add_argument("--days", type=int, default=DAYS, help="over which the tasks are spread")
    parser.add_argument("--rounds", type=int, default=10, help="how often each page is asked")
    parser.add_argument("--period", action="append", choices=tuple(AIMS_S), help="all of them by default")
    parser.add_argument("--page", action="append", help="a page by its name; all of them by default")
    parser.add_argument("--folder", type=Path, help="where the store is made and kept, or was by an earlier run")
    parser.add_argument("--output", type=Path, default=REPOSITORY / "build" / "bench-dashboard.json")
    return parser.parse_args()


if __name__ == "__main__":
    main()
