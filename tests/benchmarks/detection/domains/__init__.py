"""Domains to measure detection on, as the files that `phospho evaluate` reads."""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import orjson
import yaml

from benchmarks.conversations import REPOSITORY

FOLDER = Path(__file__).parent
SHARED = REPOSITORY.parent / "shared" / "data"
# Written for this benchmark, in FOLDER.
OWN = ("bank", "voice")


class Domain(NamedTuple):
    """Definitions, logs and labels."""

    name: str
    definitions: Path
    logs: Path
    labels: Path

    def arguments(self) -> list[str]:
        """Return the options of `phospho evaluate`."""
        files = {"--definitions": self.definitions, "--logs": self.logs, "--labels": self.labels}
        return [str(word) for option in files.items() for word in option]


def domains(folder: Path) -> list[Domain]:
    """Return all domains, having written those of OWN into `folder`; shared/data where it is beside the project."""
    own = [_written(name, folder) for name in OWN]
    shared = Domain(
        "shared_data",
        FOLDER / "shared_data.yaml",
        SHARED / "sgd-dev.jsonl.gz",
        SHARED / "sgd-dev-labels.jsonl.gz",
    )
    return [shared, *own] if shared.logs.exists() else own


def write_domain(
    name: str,
    folder: Path,
    definitions: Sequence[Mapping[str, Any]],
    logs: Sequence[Mapping[str, Any]],
    labels: Sequence[Mapping[str, Any]],
) -> Domain:
    """Write a domain into `folder` and return it. Logs and their labels get their place as task_id."""
    domain = Domain(name, *(folder / f"{name}.{kind}" for kind in ("yaml", "logs.jsonl.gz", "labels.jsonl.gz")))
    domain.definitions.write_text(yaml.safe_dump({"definitions": definitions}))
    for path, lines in ((domain.logs, logs), (domain.labels, labels)):
        with gzip.open(path, "wb") as file:
            file.writelines(orjson.dumps({"task_id": str(place), **line}) + b"\n" for place, line in enumerate(lines))
    return domain


def _written(name: str, folder: Path) -> Domain:
    source = yaml.safe_load((FOLDER / f"{name}.yaml").read_text())
    events = {event["name"]: event for event in source["events"]}
    items = [{"name": name, "scope": "input", "description": event["description"]} for name, event in events.items()]
    turns = [(text, name) for name, event in events.items() for text in event["says"]]
    turns += [(text, None) for text in source["other"]]
    logs = [{"input": str(text)} for text, _ in turns]
    return write_domain(name, folder, items, logs, [_label(shown, events) for _, shown in turns])


def _label(shown: str | None, names: Iterable[str]) -> dict[str, Any]:
    return {"positive": [shown] if shown else [], "negative": [name for name in names if name != shown]}
