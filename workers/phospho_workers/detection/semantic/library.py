"""
What people commonly say to assistants, and assistants to them: some 250 events of every trade, with examples.

A description in plain words names an event, it does not sound like one: "it's too dark in here" shares no word with
"the user wants to change the lights". So a definition whose description is close to one of these events borrows its
examples, and the events that it is not close to are what a text is weighed against. The files in `library/` were
written for this purpose by this project's authors; `# ` begins an event, the lines below it are examples.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Container, Iterator
from dataclasses import dataclass
from importlib import resources

import numpy as np
from numpy.typing import NDArray

from phospho_workers.detection.semantic.description_core import description_core
from phospho_workers.detection.text.embedding import Vectors, directions, embedder, unit

Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class Library:
    """
    Events as unit vectors, shape (events, 256) each.

    `names` are of their descriptions, less `mean_name`; `examples` of what is said, less that of all examples.
    `directions` points half-way between the two, as `embedding.directions` has them. `said` has the direction of
    every example by itself, `events` the row of its event.
    """

    names: Matrix
    examples: Matrix
    mean_name: NDArray[np.float64]
    directions: Vectors
    said: Vectors
    events: NDArray[np.int64]


_loading = threading.Lock()


def library() -> Library:
    """Return the library of this process; the first call reads 40 kB of the package and takes some 50 ms."""
    with _loading:
        return _loaded()


@functools.cache
def _loaded() -> Library:
    return built()


def built(without: Container[str] = ()) -> Library:
    """Return the library, save for the files of these names: what it is worth is measured so."""
    events = list(_events(without))
    described = unit(_sums([description_core(description) for description, _ in events]))
    of_examples = [unit(_sums(examples)) for _, examples in events]
    mean_example = np.concatenate(of_examples).mean(axis=0)
    mean_name = described.mean(axis=0)
    names = unit(described - mean_name)
    examples = unit(unit(np.stack([of_event.mean(axis=0) for of_event in of_examples])) - mean_example)
    return Library(
        names,
        examples,
        mean_name,
        directions(names + examples),
        directions(np.concatenate(of_examples)),
        np.repeat(np.arange(len(events)), list(map(len, of_examples))),
    )


def _sums(texts: list[str]) -> Matrix:
    model = embedder()
    return model.sums([model.pieces(text) for text in texts]).astype(np.float64)


def _events(without: Container[str] = ()) -> Iterator[tuple[str, list[str]]]:
    """Yield the description and the examples of every event, file by file in the order of their names."""
    folder = resources.files("phospho_workers.detection.semantic") / "library"
    files = (file for file in folder.iterdir() if file.name not in without)
    for file in sorted(files, key=lambda file: file.name):
        for block in file.read_text(encoding="utf-8").removeprefix("# ").split("\n# "):
            description, *examples = block.splitlines()
            yield description, examples
