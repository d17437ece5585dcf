"""
`python -m benchmarks.detection.speed`: how fast is detection on one core, part by part? Prints JSON.

Every part gets the same batches, one after the other, in one thread: the process pins itself to one core where the
system lets it, BLAS and the tokenizer are held to one thread. Each figure is the CPU time of the best of `--rounds`,
after a first batch that loads the models and is not counted. `analyse` is all of it, sentiment and language of both
sides included. `embed_once` embeds each different text of a batch once and does nothing else: what the others are
compared with.

`--characters 2000` cuts or repeats each text to that length, and `--only analyse_20` measures some parts. To compare
two commits, run it in a checkout of each, in turns.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Sequence
from typing import Any

# Before numpy and the tokenizer are loaded, which is when they read them.
os.environ |= {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}

import orjson

from benchmarks.conversations import logs, source_name
from phospho_schemas.messages import EventDefinition
from phospho_workers.detection.definitions import compile_definitions
from phospho_workers.detection.detect import analyse
from phospho_workers.detection.evaluation.labelled import PROJECT, event_definition
from phospho_workers.detection.text.embedding import directions, embedder
from phospho_workers.detection.text.language import languages
from phospho_workers.detection.text.meaning import codes
from phospho_workers.detection.text.sentiment import sentiments

_ASKS = ("a flight", "a hotel room", "the weather", "a refund", "an appointment", "music", "a taxi", "a restaurant")
_REPLIES = ("that the booking failed", "that the booking was successful")

Batch = list[dict[str, Any]]


def main() -> None:
    """Measure and print."""
    options = _options()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    tasks = [_task(log, options.characters) for log in logs(options.tasks, "speed")]
    batches = [tasks[begin : begin + options.batch] for begin in range(0, len(tasks), options.batch)]
    parts = {name: part for name, part in _parts().items() if not options.only or name in options.only.split(",")}
    rates = {name: _tasks_per_s(part, batches, options.rounds) for name, part in parts.items()}
    report = {"conversations": source_name(), "tasks": len(tasks), "batch": options.batch, "tasks_per_s": rates}
    if {"analyse_20", "embed_once"} <= rates.keys():
        report["analyse_20_to_embed_once"] = round(rates["analyse_20"] / rates["embed_once"], 3)
    print(orjson.dumps(report, option=orjson.OPT_INDENT_2).decode())


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.detection.speed", description=main.__doc__)
    parser.add_argument("--tasks", type=int, default=10_000, help="how many (default: 10,000)")
    parser.add_argument("--batch", type=int, default=1000, help="tasks a batch (default: 1000)")
    parser.add_argument("--rounds", type=int, default=3, help="counted rounds (default: 3)")
    parser.add_argument("--characters", type=int, default=0, help="of each text (default: as it is)")
    parser.add_argument("--only", default="", help="the parts to measure, separated by commas (default: all)")
    return parser.parse_args()


def _task(log: dict[str, Any], characters: int) -> dict[str, Any]:
    fields = {"project_id": PROJECT, "revision": 1, "created_at": "2026-01-01T00:00:00.000Z"}
    texts = {side: _of_length(log[side], characters) for side in ("input", "output")}
    return fields | {name: log[name] for name in ("task_id", "session_id")} | texts


def _of_length(text: str, characters: int) -> str:
    return (f"{text}\n" * (1 + characters // (len(text) + 1)))[:characters] if characters else text


def _parts() -> dict[str, Callable[[Batch], object]]:
    parts: dict[str, Callable[[Batch], object]] = {
        "embed_once": lambda batch: _embedded(list(dict.fromkeys(_texts(batch)))),
        "meaning": lambda batch: codes([task["input"] for task in batch]),
        "language": lambda batch: languages(_texts(batch)),
        "sentiment": lambda batch: sentiments(_texts(batch), ["en"] * 2 * len(batch)),
    }
    for count in (20, 200, 2_000):
        parts[f"analyse_{count}"] = _analysis(count)
    return parts


def _analysis(count: int) -> Callable[[Batch], object]:
    compiled = {PROJECT: compile_definitions(_definitions(count))}
    return lambda batch: analyse(batch, compiled)


def _texts(batch: Batch) -> list[str]:
    return [task[side] for task in batch for side in ("input", "output")]


def _embedded(texts: Sequence[str]) -> object:
    model = embedder()
    return directions(model.sums([model.pieces(text) for text in texts]))


def _definitions(count: int) -> list[EventDefinition]:
    """Return as many definitions, half of them semantic: ten of everyday events, then of words nobody says."""
    semantic = [{"description": f"The user asks for {what}", "scope": "input"} for what in _ASKS]
    semantic += [{"description": f"The assistant reports {what}", "scope": "output"} for what in _REPLIES]
    semantic += [
        {"description": f"The user asks about the {_word(number)}", "scope": ("input", "output")[number % 2]}
        for number in range(count // 2 - 10)
    ]
    others: list[dict[str, Any]] = [
        {"engine": "keyword", "keywords": [_word(number), f"money {number}"]}
        if number % 2
        else {"engine": "regex", "pattern": rf"(?i)\b{_word(number)}[0-9]{{2}}\b"}
        for number in range(count // 2)
    ]
    return [event_definition({"name": f"event-{place}", **one}) for place, one in enumerate([*semantic, *others])]


def _word(number: int) -> str:
    """Return a word that no conversation has, another for each number."""
    syllables = ("bra", "dol", "fex", "gim", "kor", "lup", "nax", "pim", "rud", "tez", "vik", "zom")
    return "".join(syllables[(number // 12**place) % 12] for place in range(4))


def _tasks_per_s(part: Callable[[Batch], object], batches: Sequence[Batch], rounds: int) -> int:
    part(batches[0])
    best_s = min(_seconds(part, batches) for _ in range(rounds))
    return round(sum(map(len, batches)) / best_s)


def _seconds(part: Callable[[Batch], object], batches: Sequence[Batch]) -> float:
    started = time.process_time()
    for batch in batches:
        part(batch)
    return time.process_time() - started


if __name__ == "__main__":
    main()
