"""
The library: some 250 common events of conversations with assistants, in every trade, with examples of what is said.

A description names an event, and what people say sounds different: "it's too dark in here" shares no word with "the
user wants to change the lights". So a definition whose description is close to one of these events borrows its
examples. All examples together are the texts by which the scores of a project without a sample are counted. This
project's authors wrote the files in `library/`: `# ` begins an event, and the lines below it are its examples.
"""

from __future__ import annotations

import functools
import re
import threading
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from importlib import resources
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from phospho_workers.detection.text.embedding import Vectors, directions, embedder, unit

Matrix = NDArray[np.float64]

# Most definitions of a project have the same actor, so it tells nothing apart.
_ACTOR = re.compile(r"\s*the (user|assistant)\b(\s+(is|has|wants to|says that))?\s*", re.IGNORECASE)
# "Assistant" is near to "help", and so to every thanks.
_OTHER_ACTOR = re.compile(r"\s*(?:\b(?:towards?|to|at) )?\bthe (?:user|assistant)\b(?!'s|’s)", re.IGNORECASE)
_WORD = re.compile("[a-z]+")


@dataclass(frozen=True)
class Library:
    """
    Events as unit vectors, shape (events, 256) each.

    names: their descriptions, less the mean `mean_name`.
    examples: the mean of their examples, less that of all examples.
    directions: half-way between the two, as `embedding.directions` makes them.
    example_directions: the direction of every single example.
    example_pieces: the word pieces of every single example.
    example_events: the event of every single example, in order.
    words: those in lower case of all descriptions and examples.
    """

    names: Matrix
    examples: Matrix
    mean_name: NDArray[np.float64]
    directions: Vectors
    example_directions: Vectors
    example_pieces: Sequence[Sequence[int]]
    example_events: NDArray[np.int64]
    words: frozenset[str]


_loading = threading.Lock()


def library() -> Library:
    """Return the library of this process; the first call reads 40 kB of the package and takes some 50 ms."""
    with _loading:
        return _loaded()


@functools.cache
def _loaded() -> Library:
    return build()


def build(without: Container[str] = ()) -> Library:
    """Return the library without the files of these names, by which benchmarks measure what it is worth."""
    events = list(_events(without))
    descriptions = unit(_sums([embedder().pieces(description_core(description)) for description, _ in events]))
    pieces_by_event = [[embedder().pieces(text) for text in examples] for _, examples in events]
    examples_by_event = [unit(_sums(pieces)) for pieces in pieces_by_event]
    mean_example = np.concatenate(examples_by_event).mean(axis=0)
    mean_name = descriptions.mean(axis=0)
    names = unit(descriptions - mean_name)
    examples = unit(unit(np.stack([vectors.mean(axis=0) for vectors in examples_by_event])) - mean_example)
    return Library(
        names=names,
        examples=examples,
        mean_name=mean_name,
        directions=directions(names + examples),
        example_directions=directions(np.concatenate(examples_by_event)),
        example_pieces=list(chain.from_iterable(pieces_by_event)),
        example_events=np.repeat(np.arange(len(events)), [len(pieces) for pieces in pieces_by_event]),
        words=frozenset(_WORD.findall(" ".join(" ".join((name, *examples)) for name, examples in events))),
    )


def _sums(bags: Sequence[Sequence[int]]) -> Matrix:
    return embedder().sums(bags).astype(np.float64)


def _events(without: Container[str] = ()) -> Iterator[tuple[str, list[str]]]:
    """Yield the description and the examples of every event, file by file in the order of their names."""
    folder = resources.files("phospho_workers.detection.semantic") / "library"
    files = (file for file in folder.iterdir() if file.name not in without)
    for file in sorted(files, key=lambda file: file.name):
        for block in file.read_text(encoding="utf-8").removeprefix("# ").split("\n# "):
            description, *examples = block.splitlines()
            yield description, examples


def description_core(description: str) -> str:
    """Return a description without "The user is", "the assistant" and the like, or as it is if nothing is left."""
    actor = _ACTOR.match(description)
    rest = _OTHER_ACTOR.sub("", description[actor.end() :]) if actor else ""
    return rest or description
