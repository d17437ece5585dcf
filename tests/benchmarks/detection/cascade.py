"""
The part of the F1 of asking an LLM always that the cascade reaches, by the share of its calls.

    PYTHONPATH=tests python -m benchmarks.detection.cascade [--every N] [--domain NAME] [--parts N] [--json]

An LLM server on loopback (real HTTP) answers from the labels with 5 % noise: of the answers, each of which is then
that about another text (`--noise answer`), or of the single judgements, each of which is turned round (`--noise
judgement`): with 22 events of which a task shows one, that is one wrong event a task. Detection reads all tasks; of the
texts that it is not sure of as many as the budget allows are asked about, in the order of the judge and with what it
asks along; whenever the calls have become a quarter more, the judgements teach the classifiers, and detection reads all
tasks
again, as a backfill does. With `--parts`, tasks come in so many parts, one after the other, and each is read once,
with what those before it taught.

At the end readers see what `found_events` shows them: a judgement holds where detection found the event or nearly did,
for all tasks that say the same; elsewhere the local score decides. `always` is what the same server says of every
event of every text, each asked about once, worked out without HTTP.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import os
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice, pairwise
from pathlib import Path
from statistics import fmean
from typing import Any

# Before numpy and the tokenizer are loaded, which is when they read them.
os.environ |= {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}

import numpy as np
import yaml

from benchmarks.detection.domains import OWN, domains
from fixtures.providers.llm_server import LlmServer, Rule, llm_server
from phospho_schemas.messages import EventDefinition, ProjectSettings
from phospho_store.annotations.judge_statistics import JudgeStatistics, distrust_reasons
from phospho_workers.detection.candidates import content_of
from phospho_workers.detection.definitions import compile_definitions
from phospho_workers.detection.detect import analyse
from phospho_workers.detection.evaluation.labelled import PROJECT, LabelledLogs, event_definition, read_labelled
from phospho_workers.detection.learning.classifiers import Classifier
from phospho_workers.detection.learning.metrics import f1_score
from phospho_workers.detection.learning.training_set import LabelledText, TrainingSet, labelled_text
from phospho_workers.detection.text.sides import Side, texts_of
from phospho_workers.jobs.judges.open_candidates import MAX_OPEN_OF_ONE
from phospho_workers.jobs.learning.examples import MAX_LABELS
from phospho_workers.jobs.learning.trainer import is_enough
from phospho_workers.judging.llm_client import LlmCall, LlmClient
from phospho_workers.judging.prompts import MAX_DEFINITIONS, Question, interaction
from phospho_workers.judging.selection import OpenCandidate, candidates_to_ask, ordered_texts
from phospho_workers.judging.settings import LlmSettings

SHARED = Path(__file__).parents[4] / "shared" / "data"
DEFINITIONS = Path(__file__).parent / "domains" / "shared_data.yaml"
NOISE = 0.05
BUDGETS = (0.0, 0.005, 0.01, 0.02, 0.05, 0.1)
# Classifiers are learnt anew when there are so many times the calls; the first time after one step of the judge.
_GROWTH = 1.25
_FIRST_CALLS = 32
_WEIGHT = 0.5
_BATCH = 1000

# What an LLM said, by the name of the event and the content.
Judgements = dict[tuple[str, str], bool]
Rows = Sequence[Mapping[str, Any]]


@dataclass
class Cascade:
    """The tasks, what was said of them so far, and what that taught."""

    logs: LabelledLogs
    definitions: Sequence[EventDefinition]
    chat: LlmClient
    judgements: Judgements = field(default_factory=dict)
    # By name, in the order in which they were given.
    lessons: dict[str, list[LabelledText]] = field(default_factory=dict)
    classifiers: Mapping[str, Classifier] = field(default_factory=dict)
    calls: int = 0
    tokens: int = 0
    asked: set[tuple[str, str]] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.tasks = {task["task_id"]: task for task in self.logs.tasks}

    def learn(self) -> None:
        """Learn the classifiers from the newest of what was said, where it is worth learning."""
        said = {name: Counter(one.is_event for one in known) for name, known in self.lessons.items()}
        why_not = distrust_reasons(
            [JudgeStatistics(name, "", count[True], count[False]) for name, count in said.items()]
        )
        labels = {
            one.name: [] if why_not.get((one.name, "")) else _newest(self.lessons.get(one.name, []))
            for one in self.definitions
        }
        enough = [name for name, known in labels.items() if is_enough(known)]
        self.classifiers = TrainingSet(self.definitions, labels).train(enough)

    def read(self, begin: int = 0, end: int | None = None) -> Rows:
        """Return the analyses of the tasks at these places."""
        tasks = self.logs.tasks[begin:end]
        settings = ProjectSettings(detect_language=False, detect_sentiment=False)
        compiled = {PROJECT: compile_definitions(self.definitions, self.classifiers, settings)}
        begins = range(0, len(tasks), _BATCH)
        return [row for begin in begins for row in analyse(tasks[begin : begin + _BATCH], compiled)]

    def spend(self, rows: Rows, calls: int) -> None:
        """Make so many calls more, or as many as there is something to ask about, in the order of the judge."""
        questions = list(islice(self._questions(rows), calls))
        said = self.chat.ask(
            [Question([self._named(one) for one in some], texts, "bench") for some, texts in questions]
        )
        for (some, _), call in zip(questions, said, strict=True):
            self._note(some, call)

    def _questions(self, rows: Rows) -> Iterator[tuple[Sequence[OpenCandidate], Mapping[Side, str]]]:
        for text in ordered_texts(self._open(rows)):
            judged = {one.name for one in self.definitions if (one.name, text.content) in self.judgements}
            about = candidates_to_ask(text, self.definitions, judged)
            for begin in range(0, len(about), MAX_DEFINITIONS):
                yield about[begin : begin + MAX_DEFINITIONS], texts_of(self.tasks[text.task_id], text.scope)

    def _open(self, rows: Rows) -> list[OpenCandidate]:
        """Return of each definition what the job's question to ClickHouse brings."""
        told = [(row["task_id"], one) for row in rows for one in row["candidates"]]
        opens = [OpenCandidate(task, one["name"], 1, one["scope"], one["content"], one["doubt"]) for task, one in told]
        # The first task of those that say the same.
        found = {(one.name, one.content): one for one in reversed(opens)}
        unasked = [one for key, one in found.items() if key not in self.judgements]
        doubtful = sorted(unasked, key=lambda one: (-one.doubt, one.content))
        return [one for of_name in _by_name(doubtful).values() for one in of_name[:MAX_OPEN_OF_ONE]]

    def _named(self, candidate: OpenCandidate) -> EventDefinition:
        return next(one for one in self.definitions if one.name == candidate.name)

    def _note(self, candidates: Sequence[OpenCandidate], call: LlmCall) -> None:
        self.calls += 1
        self.tokens += call.tokens_in + call.tokens_out
        for one in candidates:
            self.asked.add((one.scope, one.content))
            if (answer := call.answers.get(one.name)) is not None:
                self.judgements[one.name, one.content] = answer.is_there
                lesson = labelled_text(self._named(one), self.tasks[one.task_id], answer.is_there, _WEIGHT)
                self.lessons.setdefault(one.name, []).append(lesson)

    def macro_f1(self, rows: Rows) -> float:
        """Return the macro F1 of what readers see."""
        return macro_f1(self.logs, self.definitions, [self._seen(row) for row in rows])

    def _seen(self, row: Mapping[str, Any]) -> set[str]:
        """Return the events that the view `found_events` shows of an analysis."""
        said = {one["name"]: self.judgements.get((one["name"], one["content"])) for one in row["candidates"]}
        found = {event["name"] for event in row["events"] if said.get(event["name"]) is not False}
        return found | {name for name, is_there in said.items() if is_there}


def _newest(lessons: Sequence[LabelledText]) -> list[LabelledText]:
    """Return of either kind the newest that are read; all definitions together stay far below the bound of all."""
    return [one for kind in (True, False) for one in [each for each in lessons if each.is_event == kind][-MAX_LABELS:]]


def _by_name(candidates: Sequence[OpenCandidate]) -> dict[str, list[OpenCandidate]]:
    by_name: dict[str, list[OpenCandidate]] = {}
    for one in candidates:
        by_name.setdefault(one.name, []).append(one)
    return by_name


def macro_f1(logs: LabelledLogs, definitions: Sequence[EventDefinition], seen: Sequence[set[str]]) -> float:
    """Return the mean F1 of the events that some task shows, of the tasks that are not ambiguous."""
    return fmean(f1 for one in definitions if (f1 := _f1(logs, one.name, seen)) is not None)


def _f1(logs: LabelledLogs, name: str, seen: Sequence[set[str]]) -> float | None:
    labels = logs.labels(name)
    places = [place for place, label in enumerate(labels) if label is not None]
    is_event = np.array([bool(labels[place]) for place in places], dtype=bool)
    is_found = np.array([name in seen[place] for place in places], dtype=bool)
    return f1_score(is_found, is_event) if is_event.any() else None


def main() -> None:
    options = _options()
    logs, definitions = _domain(options.domain, options.data)
    logs = LabelledLogs(*(part[:: options.every] for part in (logs.tasks, logs.positive, logs.negative)))
    with llm_server() as server:
        server.rule = _from_labels(logs, options.noise)
        report = {"noise": f"{NOISE:.0%} of {options.noise}s"} | _measured(server, logs, definitions, options)
    _print(report, as_json=options.json)


def _domain(name: str, data: Path) -> tuple[LabelledLogs, list[EventDefinition]]:
    if name == "shared_data":
        logs = read_labelled(data / "sgd-dev.jsonl.gz", data / "sgd-dev-labels.jsonl.gz")
        read = yaml.safe_load(DEFINITIONS.read_text())
    else:
        with tempfile.TemporaryDirectory() as folder:
            [domain] = [one for one in domains(Path(folder)) if one.name == name]
            logs, read = read_labelled(domain.logs, domain.labels), yaml.safe_load(domain.definitions.read_text())
    return logs, [event_definition(item) for item in read["definitions"]]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure the cascade over a range of budgets.")
    parser.add_argument("--data", type=Path, default=SHARED)
    parser.add_argument("--domain", choices=("shared_data", *OWN), default="shared_data")
    parser.add_argument("--every", type=int, default=1, help="read every so-many-th task only")
    parser.add_argument(
        "--budgets", type=float, nargs="+", default=BUDGETS, help="shares of the calls of asking always"
    )
    parser.add_argument("--parts", type=int, default=0, help="read every task once, in so many parts")
    parser.add_argument("--noise", choices=("answer", "judgement"), default="answer", help="what the noise is of")
    parser.add_argument("--json", action="store_true", help="print JSON alone")
    return parser.parse_args()


def _from_labels(logs: LabelledLogs, noise: str) -> Rule:
    """Return the rule that answers as the labels do, save for noise that is the same at every question."""
    shown: dict[tuple[str, str], frozenset[str]] = {}
    for task, positive in zip(logs.tasks, logs.positive, strict=True):
        shown[task["input"], ""] = shown.get((task["input"], ""), frozenset()) | positive
        shown["", task["output"]] = shown.get(("", task["output"]), frozenset()) | positive
        shown[task["input"], task["output"]] = positive

    keys = list(shown)

    def rule(event: Mapping[str, Any], said: Mapping[str, str]) -> dict[str, str]:
        texts = (said.get("user", ""), said.get("assistant", ""))
        chance = _chance(*texts) if noise == "answer" else _chance(event["name"], *texts)
        if chance < NOISE and noise == "answer":
            texts = keys[round(chance / NOISE * (len(keys) - 1))]
        is_turned = chance < NOISE and noise == "judgement"
        return {"answer": "yes" if (event["name"] in shown.get(texts, ())) != is_turned else "no"}

    return rule


def _chance(*parts: str) -> float:
    """Return a number from 0 to 1 that follows from these texts."""
    return int.from_bytes(hashlib.blake2b("\n".join(parts).encode(), digest_size=4).digest(), "big") / 2**32


def _measured(
    server: LlmServer, logs: LabelledLogs, definitions: Sequence[EventDefinition], options: argparse.Namespace
) -> dict[str, Any]:
    chat = LlmClient(LlmSettings(server.base_url, "labels", concurrency=16))
    begun_s = time.monotonic()
    always = _always(server.rule, logs, definitions)
    new = partial(Cascade, logs, definitions, chat)
    if options.parts:
        budgets = [_in_parts(new(), budget, always["calls"], options.parts) for budget in options.budgets]
    else:
        budgets = list(_cascade(new(), options.budgets, always["calls"]))
    report = {"tasks": len(logs.tasks), "always": always, "budgets": budgets}
    return report | {"seconds": round(time.monotonic() - begun_s)}


def _always(rule: Rule, logs: LabelledLogs, definitions: Sequence[EventDefinition]) -> dict[str, Any]:
    """Return the F1 and the calls of asking about every text, each once, and all definitions of its scope."""
    said = [{one.name for one in definitions if _says(rule, one, texts_of(task, one.scope))} for task in logs.tasks]
    calls = 0
    for scope in {one.scope for one in definitions}:
        contents = {content_of(task, scope) for task in logs.tasks if texts_of(task, scope)}
        calls += len(contents) * math.ceil(sum(one.scope == scope for one in definitions) / MAX_DEFINITIONS)
    return {"f1": macro_f1(logs, definitions, said), "calls": calls}


def _says(rule: Rule, definition: EventDefinition, texts: Mapping[Side, str]) -> bool:
    return bool(texts) and rule({"name": definition.name}, interaction(texts))["answer"] == "yes"


def _cascade(cascade: Cascade, budgets: Sequence[float], calls_of_always: int) -> Iterator[dict[str, Any]]:
    """Yield what each budget reaches: a larger one goes on from a smaller one."""
    rows = cascade.read()
    for budget in sorted(budgets):
        allowed = round(budget * calls_of_always)
        while cascade.calls < allowed:
            before = cascade.calls
            cascade.spend(rows, min(allowed, max(_FIRST_CALLS, math.ceil(_GROWTH * before))) - before)
            cascade.learn()
            rows = cascade.read()
            if cascade.calls == before:
                break
        yield {"budget": budget, "f1": cascade.macro_f1(rows)} | _cost(cascade, calls_of_always)


def _in_parts(cascade: Cascade, budget: float, calls_of_always: int, parts: int) -> dict[str, Any]:
    """Return what a budget reaches that is spread over the tasks as they come, none of which is read again."""
    ends = [len(cascade.logs.tasks) * part // parts for part in range(parts + 1)]
    seen: list[Mapping[str, Any]] = []
    for part, (begin, end) in enumerate(pairwise(ends), 1):
        rows = cascade.read(begin, end)
        cascade.spend(rows, round(budget * calls_of_always * part / parts) - cascade.calls)
        cascade.learn()
        seen += rows
    return {"budget": budget, "f1": cascade.macro_f1(seen)} | _cost(cascade, calls_of_always)


def _cost(cascade: Cascade, calls_of_always: int) -> dict[str, Any]:
    tasks = sum(
        any((scope, content_of(task, scope)) in cascade.asked for scope in {one.scope for one in cascade.definitions})
        for task in cascade.logs.tasks
    )
    share = {"share_of_calls": cascade.calls / calls_of_always, "share_of_tasks": tasks / len(cascade.logs.tasks)}
    return share | {"calls": cascade.calls, "tokens": cascade.tokens}


def _print(report: Mapping[str, Any], *, as_json: bool) -> None:
    if not as_json:
        always = report["always"]
        print(f"{'budget':>8} {'calls':>8} {'tasks':>8} {'tokens':>12} {'F1':>7} {'of always':>10}")
        for row in report["budgets"]:
            cost = f"{row['calls']:>8} {row['share_of_tasks']:>8.1%} {row['tokens']:>12,}"
            print(f"{row['budget']:>8.1%} {cost} {row['f1']:>7.3f} {row['f1'] / always['f1']:>10.1%}")
        print(f"{'always':>8} {always['calls']:>8} {1:>8.1%} {'':>12} {always['f1']:>7.3f}")
    print(json.dumps(report))


if __name__ == "__main__":
    main()
