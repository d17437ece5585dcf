"""
The cost of the queries of the jobs on many tasks. Prints JSON, in milliseconds.

    PYTHONPATH=schemas:workers:tests python tests/benchmarks/jobs.py --tasks 10000000

One project with a task every 100 ms up to now, nine to a session, an event in every tenth. Each figure is the best of
`--rounds`. A job asks the first few once a second; the last one once, when it starts.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import orjson

from phospho_store.migrations import migrate
from phospho_store.store import Store, embedded
from phospho_workers.jobs.loop.job import TableChanges
from phospho_workers.jobs.sessions.session_facts import SessionFacts
from phospho_workers.jobs.sessions.session_states import Window
from phospho_workers.jobs.webhooks.event_streams import EventFilter, EventStreams, Position, Stream

PROJECT = "benchmark"
_ROWS_AN_INSERT = 1_000_000
_MINUTE_MS = 60_000
_IDLE_MS = 30 * _MINUTE_MS

_TASKS = """
INSERT INTO task_rows
    (project_id, task_id, revision, session_id, created_at, received_at, inserted_at, input, output)
SELECT '{project}', concat('t', leftPad(toString(number), 12, '0')),
    bitShiftLeft(toUInt64(toUnixTimestamp64Milli(moment)), 16), concat('s', toString(intDiv(number, 9))),
    moment, moment, moment, 'I want a refund for my order, please', 'Certainly. Which order is it?'
FROM
(
    SELECT number, now64(3, 'UTC') - toIntervalMillisecond(({total} - number) * 100) AS moment
    FROM numbers({begin}, {rows})
)
"""
_EVENT = "[('e', 'refund', 1, 'keyword', 'input', 1, 'refund', 0, '', NULL, '')]"
_ANALYSES = f"""
INSERT INTO analysis_rows
    (project_id, task_id, revision, definitions_revision, session_id, created_at, inserted_at, events)
SELECT project_id, task_id, revision, 1, session_id, created_at, inserted_at,
    if(cityHash64(task_id) % 10 = 0, {_EVENT}, [])
FROM task_rows
"""

# A judge has affirmed 100,000 texts, none of which is said here.
_JUDGEMENTS = f"""
INSERT INTO judgement_rows (project_id, name, definition_version, content, revision, answer, created_at)
SELECT '{PROJECT}', 'refund', 1, hex(sipHash64(number)), 1, 'yes', now64(3, 'UTC') FROM numbers(100000)
"""


def main() -> None:
    options = _options()
    with tempfile.TemporaryDirectory(prefix="phospho-bench-") as folder:
        store = embedded(str(Path(folder) / "store"))
        list(migrate(store))
        _fill(store, options.tasks)
        report = {name: _best_ms(ask, options.rounds) for name, ask in _questions(store).items()}
        store.close()
    print(orjson.dumps({"tasks": options.tasks, "ms": report}, option=orjson.OPT_INDENT_2).decode())


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure the questions of the jobs.")
    parser.add_argument("--tasks", type=int, default=2_000_000, help="tasks in the project (default: 2,000,000)")
    parser.add_argument("--rounds", type=int, default=5, help="counted rounds (default: 5)")
    return parser.parse_args()


def _fill(store: Store, total: int) -> None:
    for begin in range(0, total, _ROWS_AN_INSERT):
        rows = min(_ROWS_AN_INSERT, total - begin)
        store.command(_TASKS.format(project=PROJECT, total=total, begin=begin, rows=rows))
    store.command(_ANALYSES)
    store.command(_JUDGEMENTS)


def _questions(store: Store) -> dict[str, Callable[[], object]]:
    facts, events = SessionFacts(store), EventStreams(store)
    now_ms = time.time_ns() // 1_000_000
    since_ms, idle_ms = now_ms - _MINUTE_MS, now_ms - _IDLE_MS
    second = Window(since_ms, idle_ms - 1_000, idle_ms)
    events_of_all = EventFilter([PROJECT], [], 500, lambda project_id, name: True)
    tables = ("task_rows", "analysis_rows", "label_rows")
    minute = list(facts.states.changed(PROJECT, Window(since_ms, idle_ms - _MINUTE_MS, idle_ms), 500))
    return {
        "what has changed, for all jobs": lambda: TableChanges(store).states(tables),
        "what arrived in a minute": lambda: facts.arrivals.times(PROJECT, since_ms),
        "sessions that became idle in a second": lambda: facts.states.changed(PROJECT, second, 500),
        f"how {len(minute)} sessions stand": lambda: facts.states.states(PROJECT, minute),
        "20 transcripts": lambda: facts.tasks.of_sessions(PROJECT, minute[:20]),
        "turns that arrived in a minute": lambda: facts.turns.arrived(PROJECT, since_ms, "", 200, is_first=False),
        "events of a minute, for webhooks": lambda: events.page(
            Stream("task"), Position(since_ms), now_ms, events_of_all
        ),
        "what was not looked at, at a start": lambda: facts.states.changed(
            PROJECT, Window(0, 0, idle_ms, is_first=True), 500
        ),
    }


def _best_ms(ask: Callable[[], object], rounds: int) -> float:
    best_s = float("inf")
    for _ in range(rounds):
        begun_s = time.perf_counter()
        ask()
        best_s = min(best_s, time.perf_counter() - begun_s)
    return round(best_s * 1000, 1)


if __name__ == "__main__":
    main()
