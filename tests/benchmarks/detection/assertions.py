"""
`python -m benchmarks.detection.assertions`: how many denied or only mentioned events are found, and how many meant.

tests/data/assertions.yaml has the texts, in two parts: the rules were mended beside the one that was looked at, so the
other one says more. Both have the same author, who also wrote the rules. Prints to standard error, in seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import yaml

from benchmarks.sizes import say
from phospho_workers.detection.definitions import compile_definitions
from phospho_workers.detection.evaluation.labelled import event_definition

TEXTS = Path(__file__).parents[2] / "data" / "assertions.yaml"
KINDS = ("denied", "mentioned", "meant")

Events = Mapping[str, Mapping[str, list[str]]]


def main() -> None:
    """Print a line for each part and kind."""
    parts: Mapping[str, Events] = yaml.safe_load(TEXTS.read_text("utf-8"))
    for name, events in parts.items():
        for kind in KINDS:
            count = sum(len(event[kind]) for event in events.values())
            say(f"{name:<10} {kind:<10} {len(found_texts(events, kind)):>3} of {count} found")


def found_texts(events: Events, kind: str) -> list[tuple[str, str]]:
    """Return the events with the texts of a kind in which they are found at the default threshold."""
    return [
        (name, text)
        for name, event in events.items()
        for compiled in [compile_definitions([event_definition({"name": name, "description": event["description"]})])]
        for text, matches in zip(event[kind], compiled.match(event[kind], "input"), strict=True)
        if any(match.is_found for match in matches)
    ]


if __name__ == "__main__":
    main()
