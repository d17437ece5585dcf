"""
How much of the F1 of asking an LLM always does the cascade reach, by the share of tasks that it asks about?

    PYTHONPATH=tests python -m benchmarks.cascade [--every N] [--json]

An LLM server on loopback (real HTTP) answers from the labels of shared/data with 5 % noise: of the answers, each of
which is then that of another task (`--noise answer`), or of the single verdicts, each of which is turned round
(`--noise verdict`): with 22 events of which a task shows one, that is one wrong event a task. Detection reads all
tasks; of those that it is not sure of as many as the budget allows are asked about, in the order of the judge; the
verdicts teach the heads, and detection reads again. What an LLM said of a task holds for it; of the others the local
score decides. `always` is what the same server says of every event of every task, worked out without HTTP.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any

# Before numpy and the tokenizer are loaded, which is when they read them.
os.environ |= {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}

import numpy as np
import yaml

from fixtures.llm_server import LlmServer, Rule, llm_server
from phospho_schemas.messages import EventDefinition
from phospho_workers.detection.candidates import texts_of
from phospho_workers.detection.definitions import compile_definitions
from phospho_workers.detection.detect import analyse
from phospho_workers.detection.evaluation.labelled import PROJECT, LabelledLogs, event_definition, read_labelled
from phospho_workers.detection.evaluation.metrics import f1_score
from phospho_workers.detection.heads import Head
from phospho_workers.detection.teaching import Labelled, train
from phospho_workers.detection.teaching import texts_of as taught_texts
from phospho_workers.followers.teaching import is_enough
from phospho_workers.judging.chat import Chat
from phospho_workers.judging.choice import Open, in_order
from phospho_workers.judging.questions import MAX_DEFINITIONS, Question, interaction
from phospho_workers.judging.settings import LlmSettings

SHARED = Path(__file__).parents[3] / "shared" / "data"
DEFINITIONS = Path(__file__).parent / "domains" / "shared_data.yaml"
NOISE = 0.05
BUDGETS = (0.0, 0.005, 0.01, 0.02, 0.05, 0.1, 1.0)
# The heads are learnt so often on the way from one budget to the next.
_ROUNDS = 3
_WEIGHT = 0.5
_BATCH = 1000

# What an LLM said, by the place of the task and the name of the event.
Verdicts = dict[tuple[int, str], bool]


@dataclass
class Cascade:
    """The tasks, what was said of them so far, and what that taught."""

    logs: LabelledLogs
    definitions: Sequence[EventDefinition]
    chat: Chat
    verdicts: Verdicts = field(default_factory=dict)
    sent: int = 0
    heads: Mapping[str, Head] = field(default_factory=dict)
    calls: int = 0
    tokens: int = 0

    def ask(self, chosen: Mapping[int, Sequence[EventDefinition]]) -> None:
        """Ask about these definitions of these tasks, by their place."""
        questions = [
            (place, Question(some, texts, "bench"))
            for place, definitions in chosen.items()
            for some, texts in _questions(definitions, self.logs.tasks[place])
        ]
        calls = self.chat.ask([question for _, question in questions])
        for (place, _), call in zip(questions, calls, strict=True):
            self.verdicts |= {(place, name): answer.is_there for name, answer in call.answers.items()}
            self.tokens += call.tokens_in + call.tokens_out
        self.sent += len(chosen)
        self.calls += len(calls)

    def learn(self) -> None:
        """Learn the heads from all that was said."""
        labels: dict[str, list[Labelled]] = {one.name: [] for one in self.definitions}
        by_name = {one.name: one for one in self.definitions}
        for (place, name), is_there in sorted(self.verdicts.items()):
            labels[name].append(Labelled(taught_texts(by_name[name], self.logs.tasks[place]), is_there, _WEIGHT))
        self.heads = train(self.definitions, labels, [name for name, known in labels.items() if is_enough(known)])

    def read(self) -> list[dict[str, Any]]:
        """Return the analyses of all tasks."""
        compiled = {PROJECT: compile_definitions(self.definitions, self.heads)}
        begins = range(0, len(self.logs.tasks), _BATCH)
        return [row for begin in begins for row in analyse(self.logs.tasks[begin : begin + _BATCH], compiled)]

    def spend(self, rows: Sequence[Mapping[str, Any]], tasks: int) -> None:
        """Ask about as many tasks more, in the order of the judge; one may come again, with other events."""
        by_name = {one.name: one for one in self.definitions}
        opens = {place: list(self._open(place, row)) for place, row in enumerate(rows)}
        order = in_order([one for of_task in opens.values() for one in of_task])[:tasks]
        self.ask({int(place): [by_name[one.name] for one in opens[int(place)]] for place in order})

    def _open(self, place: int, row: Mapping[str, Any]) -> Iterator[Open]:
        for one in row["candidates"]:
            if (place, one["name"]) not in self.verdicts:
                yield Open(str(place), one["name"], 1, one["scope"], one["content"], one["doubt"])

    def macro_f1(self, rows: Sequence[Mapping[str, Any]]) -> float:
        """Return the mean F1 of the events that some task shows, of the tasks that are not ambiguous."""
        found = [{event["name"] for event in row["events"]} for row in rows]
        return fmean(f1 for one in self.definitions if (f1 := self._f1(one.name, found)) is not None)

    def _f1(self, name: str, found: Sequence[set[str]]) -> float | None:
        labels = self.logs.verdicts(name)
        places = [place for place, label in enumerate(labels) if label is not None]
        is_event = np.array([bool(labels[place]) for place in places], dtype=bool)
        is_found = np.array([self.verdicts.get((place, name), name in found[place]) for place in places], dtype=bool)
        return f1_score(is_found, is_event) if is_event.any() else None


def _questions(
    definitions: Sequence[EventDefinition], task: Mapping[str, Any]
) -> Iterator[tuple[list[EventDefinition], dict[Any, str]]]:
    for scope in sorted({one.scope for one in definitions}):
        of_scope = [one for one in definitions if one.scope == scope]
        texts = texts_of(task, scope)
        for begin in range(0, len(of_scope) if texts else 0, MAX_DEFINITIONS):
            yield of_scope[begin : begin + MAX_DEFINITIONS], texts


def main() -> None:
    options = _options()
    logs = read_labelled(options.data / "sgd-dev.jsonl.gz", options.data / "sgd-dev-labels.jsonl.gz")
    logs = LabelledLogs(*(part[:: options.every] for part in (logs.tasks, logs.positive, logs.negative)))
    definitions = [event_definition(item) for item in yaml.safe_load(DEFINITIONS.read_text())["definitions"]]
    with llm_server() as server:
        server.rule = _from_labels(logs, options.noise)
        report = {"noise": f"{NOISE:.0%} of {options.noise}s"} | _measured(server, logs, definitions)
    _print(report, as_json=options.json)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure the cascade over a range of budgets.")
    parser.add_argument("--data", type=Path, default=SHARED)
    parser.add_argument("--every", type=int, default=1, help="read every so-many-th task only")
    parser.add_argument("--noise", choices=("answer", "verdict"), default="answer", help="what the noise is of")
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
        is_turned = chance < NOISE and noise == "verdict"
        return {"verdict": "yes" if (event["name"] in shown.get(texts, ())) != is_turned else "no"}

    return rule


def _chance(*parts: str) -> float:
    """Return a number from 0 to 1 that follows from these texts."""
    return int.from_bytes(hashlib.blake2b("\n".join(parts).encode(), digest_size=4).digest(), "big") / 2**32


def _measured(server: LlmServer, logs: LabelledLogs, definitions: Sequence[EventDefinition]) -> dict[str, Any]:
    chat = Chat(LlmSettings(server.base_url, "labels", concurrency=16))
    begun_s = time.monotonic()
    budgets = list(_cascade(Cascade(logs, definitions, chat)))
    always = Cascade(logs, definitions, chat, _of_everything(server.rule, logs, definitions))
    always_f1 = always.macro_f1([{"events": []}] * len(logs.tasks))
    report = {"tasks": len(logs.tasks), "always_f1": always_f1, "budgets": budgets}
    return report | {"seconds": round(time.monotonic() - begun_s)}


def _of_everything(rule: Rule, logs: LabelledLogs, definitions: Sequence[EventDefinition]) -> Verdicts:
    return {
        (place, one.name): rule({"name": one.name}, interaction(texts_of(task, one.scope)))["verdict"] == "yes"
        for place, task in enumerate(logs.tasks)
        for one in definitions
    }


def _cascade(cascade: Cascade) -> Iterator[dict[str, Any]]:
    """Yield what each budget reaches: a larger one goes on from a smaller one."""
    rows = cascade.read()
    for budget in BUDGETS:
        allowed = round(budget * len(rows))
        for left in range(_ROUNDS, 0, -1):
            more = (allowed - cascade.sent) // left
            if more > 0:
                cascade.spend(rows, more)
                cascade.learn()
                rows = cascade.read()
        yield {"budget": budget, "f1": cascade.macro_f1(rows)} | _cost(cascade)


def _cost(cascade: Cascade) -> dict[str, Any]:
    share = cascade.sent / len(cascade.logs.tasks)
    return {"tasks_sent": cascade.sent, "share": share, "calls": cascade.calls, "tokens": cascade.tokens}


def _print(report: Mapping[str, Any], *, as_json: bool) -> None:
    if not as_json:
        always = report["always_f1"]
        print(f"{'budget':>8} {'sent':>8} {'share':>8} {'tokens':>12} {'F1':>7} {'of always':>10}")
        for row in report["budgets"]:
            cost = f"{row['tasks_sent']:>8} {row['share']:>8.1%} {row['tokens']:>12,}"
            print(f"{row['budget']:>8.1%} {cost} {row['f1']:>7.3f} {row['f1'] / always:>10.1%}")
        print(f"{'always':>8} {report['tasks']:>8} {1:>8.1%} {'':>12} {always:>7.3f}")
    print(json.dumps(report))


if __name__ == "__main__":
    main()
