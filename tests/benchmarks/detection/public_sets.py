"""
Public, labelled sets as domains to measure detection on; `benchmarks.detection --sets FOLDER` reads them.

FOLDER has clones of clinc/oos-eval, PolyAI-LDN/task-specific-datasets, thu-coai/Emotional-Support-Conversation,
eth-nlped/mathdial, openai/moderation-api-release and home-assistant/intents, each under its repository's name. Those
that are missing are left out. `hwu` is in shared/data beside the project.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import json
import random
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from benchmarks.detection.domains import FOLDER, SHARED, Domain, write_domain

_TASKS = 4_000
_LANGUAGES = ("de", "fr", "es", "nl", "pl", "it")
_SENTENCES_OF_INTENT = 18


class Task(NamedTuple):
    """A task with the events that it shows, and those of which its set says nothing."""

    input: str
    output: str = ""
    events: Sequence[str] = ()
    unclear: Sequence[str] = ()


class PublicSet(NamedTuple):
    """Definitions, as a description by name, of what one side of tasks shows, and the tasks."""

    scope: str
    descriptions: Mapping[str, str]
    tasks: Sequence[Task]


def public_domains(sets: Path, folder: Path, change: Callable[[str], str]) -> Iterator[Domain]:
    """Write each set into `folder` with its texts changed, and yield it."""
    for name, public_set in public_sets(sets):
        items = [
            {"name": event, "scope": public_set.scope, "description": description}
            for event, description in public_set.descriptions.items()
        ]
        logs = [{"input": change(task.input), "output": change(task.output)} for task in public_set.tasks]
        labels = [
            {
                "positive": [event for event in task.events if event in public_set.descriptions],
                "negative": [
                    event for event in public_set.descriptions if event not in task.events and event not in task.unclear
                ],
            }
            for task in public_set.tasks
        ]
        yield write_domain(name, folder, items, logs, labels)


def public_sets(folder: Path) -> Iterator[tuple[str, PublicSet]]:
    """Yield the name of each set that is there, and the set."""
    for name, read in _SETS.items():
        try:
            yield name, read(folder)
        except FileNotFoundError:
            continue


def event_name(text: str) -> str:
    """Return a name of a set as that of a definition."""
    return re.sub(r"\W+", "_", text).strip("_").lower()


def _sampled(tasks: Iterable[Task], size: int = _TASKS) -> list[Task]:
    """Return at most `size` tasks, the same ones whatever the order of the set."""
    return sorted(tasks, key=lambda task: hashlib.blake2b(f"{task.input}\n{task.output}".encode()).digest())[:size]


def _of_intents(tasks: Sequence[Task], intents: Iterable[str]) -> PublicSet:
    """Return a set of requests whose definitions are no more than the names of the intents."""
    descriptions = {event_name(name): f"The user asks about {event_name(name).replace('_', ' ')}" for name in intents}
    return PublicSet("input", descriptions, tasks)


def _clinc(part: int) -> Callable[[Path], PublicSet]:
    def read(folder: Path) -> PublicSet:
        rows = json.loads((folder / "oos-eval" / "data" / "data_full.json").read_text("utf-8"))
        intents = sorted({intent for _, intent in rows["test"]})
        random.Random(0).shuffle(intents)
        intents = intents[75 * part : 75 * part + 75]
        tasks = [Task(text, events=[intent]) for text, intent in rows["test"] + rows["val"] if intent in intents]
        return _of_intents(tasks + [Task(text) for text, _ in rows["oos_test"][:500]], intents)

    return read


def _banking77(folder: Path) -> PublicSet:
    with (folder / "task-specific-datasets" / "banking_data" / "test.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    tasks = [Task(row["text"], events=[event_name(row["category"])]) for row in rows]
    return _of_intents(tasks, sorted({row["category"] for row in rows}))


def _hwu(_: Path) -> PublicSet:
    topics = {row["task_id"]: row["topic"] for row in _shared("hwu-topics")}
    tasks = _sampled(Task(row["input"], events=[event_name(topics[row["task_id"]])]) for row in _shared("hwu"))
    return _of_intents(tasks, sorted(set(topics.values())))


def _nluplusplus(domain: str) -> Callable[[Path], PublicSet]:
    def read(folder: Path) -> PublicSet:
        data = folder / "task-specific-datasets" / "nlupp" / "data"
        folds = [json.loads((data / domain / f"fold{fold}.json").read_text("utf-8")) for fold in range(20)]
        tasks = [Task(row["text"], events=row.get("intents", [])) for fold in folds for row in fold]
        ontology = json.loads((data / "ontology.json").read_text("utf-8"))["intents"]
        shown = {event for task in tasks for event in task.events}
        begin = re.compile(r"^is the intent (to|asking about)\s*|^is the intent\s*")
        descriptions = {
            name: begin.sub("The user asks about ", intent["description"]).rstrip("?")
            for name, intent in ontology.items()
            if name in shown
        }
        return PublicSet("input", descriptions, tasks)

    return read


def _esconv(folder: Path) -> PublicSet:
    data = folder / "Emotional-Support-Conversation" / "codes" / "dataset"
    texts = [(data / f"{part}WithStrategy_short.tsv").read_text("utf-8") for part in ("dev", "test")]
    answers = {match for text in texts for line in text.splitlines() if (match := _last_answer(line))}
    tasks = _sampled((Task("", text, [event_name(strategy)]) for strategy, text in answers), 3_000)
    return PublicSet("output", _descriptions("esconv"), tasks)


def _last_answer(line: str) -> tuple[str, str] | None:
    match = re.match(r"[\d.]+ \d \d+ \[([^\]]+)\] (.*)", line.split(" EOS ")[-1])
    return (match[1], match[2]) if match else None


def _mathdial(folder: Path) -> PublicSet:
    lines = (folder / "mathdial" / "data" / "test.jsonl").read_text("utf-8").splitlines()
    turns = [turn for line in lines for turn in json.loads(line)["conversation"].split("|EOM|")]
    matches = [match for turn in turns if (match := re.match(r"Teacher: ?\(?(\w+)\)(.*)", turn, re.DOTALL))]
    tasks = [Task("", match[2].strip(), [match[1]]) for match in matches]
    return PublicSet("output", _descriptions("mathdial"), _sampled(tasks, 3_000))


def _moderation(folder: Path) -> PublicSet:
    keys = {"self_harm": "SH", "harassment": "HR", "hate": "H", "sexual": "S", "violence": "V"}
    tasks = []
    with gzip.open(
        folder / "moderation-api-release" / "data" / "samples-1680.jsonl.gz", "rt", encoding="utf-8"
    ) as file:
        for row in map(json.loads, file):
            events = [name for name, key in keys.items() if row.get(key) == 1]
            tasks.append(Task(row["prompt"], "", events, [name for name, key in keys.items() if key not in row]))
    return PublicSet("input", _descriptions("moderation"), tasks)


def _home(language: str) -> Callable[[Path], PublicSet]:
    """Read the sentences by which home-assistant/intents tests a language, some of each intent."""

    def read(folder: Path) -> PublicSet:
        descriptions, tasks = {}, []
        for name, description in _descriptions("home").items():
            path = folder / "intents" / "tests" / language / f"{name}.yaml"
            tests = (yaml.safe_load(path.read_text("utf-8"))["tests"] or []) if path.exists() else []
            given = [test["sentences"] for test in tests]
            sentences = [text for texts in given for text in ([texts] if isinstance(texts, str) else texts)]
            event = event_name(name)
            some = _sampled({Task(text, events=(event,)) for text in sentences}, _SENTENCES_OF_INTENT)
            if len(some) > 3:
                descriptions[event] = description
                tasks += some
        if not tasks:
            raise FileNotFoundError(language)
        return PublicSet("input", descriptions, tasks)

    return read


def _shared(name: str) -> list[dict[str, Any]]:
    with gzip.open(SHARED / f"{name}.jsonl.gz") as file:
        return [json.loads(line) for line in file]


def _descriptions(name: str) -> dict[str, str]:
    descriptions: dict[str, str] = yaml.safe_load((FOLDER / "public_sets.yaml").read_text())[name]
    return descriptions


_SETS: Mapping[str, Callable[[Path], PublicSet]] = {
    "clinc_a": _clinc(0),
    "clinc_b": _clinc(1),
    "banking77": _banking77,
    "hwu": _hwu,
    "nlupp_banking": _nluplusplus("banking"),
    "nlupp_hotels": _nluplusplus("hotels"),
    "esconv": _esconv,
    "mathdial": _mathdial,
    "moderation": _moderation,
    **{f"home_{language}": _home(language) for language in _LANGUAGES},
}
