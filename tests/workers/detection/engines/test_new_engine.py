"""A new engine needs what the recipe of ARCHITECTURE.md says, and no more code."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import phospho_cli
import phospho_dashboard
import phospho_schemas
import phospho_store
import phospho_web
import phospho_workers

PACKAGES = (phospho_cli, phospho_dashboard, phospho_schemas, phospho_store, phospho_web, phospho_workers)

ENGINE = """
class WordEngine:
    spec: ClassVar[EngineSpec] = engine_spec("word")

    def __init__(self, definitions: Sequence[EventDefinition]) -> None:
        self._definitions = definitions

    @staticmethod
    def warning(definition: EventDefinition) -> str | None:
        return None

    @staticmethod
    def refusal(definition: EventDefinition) -> str | None:
        return None if len(definition.keywords) == 1 else "give exactly one word"

    def match(self, texts: Sequence[str], side: Side, other_sides: Sequence[str] = ()) -> Sequence[Matches]:
        return [
            [
                Match(definition, 1.0, definition.keywords[0])
                for definition in self._definitions
                if reads_side(definition, side) and definition.keywords[0] in text.split()
            ]
            for text in texts
        ]
"""
IMPORTS = """
from collections.abc import Sequence
from typing import ClassVar
from phospho_schemas.definitions.engines import EngineSpec, engine_spec
from phospho_schemas.messages import EventDefinition
from phospho_workers.detection.engines.engine import Match, Matches
from phospho_workers.detection.text.sides import Side, reads_side
"""
DEFINITIONS = """
definitions:
  - {name: zorp, engine: word, keywords: [zorp], scope: input}
  - {name: two_words, engine: word, keywords: [a, b]}
"""
# The path of a definition from the API to an analysis.
DETECT = """
import json, sys
from phospho_cli.commands.definitions.definition_file import read_definitions
from phospho_dashboard.detection import checked_definition
from phospho_web.problems import Problem
from phospho_workers.detection.definitions import check_definition, compile_definitions
from phospho_workers.detection.detect import analyse

accepted, refused = [], []
for item in read_definitions(open(sys.argv[1]).read()):
    try:
        accepted.append(checked_definition("shop", item, check_definition))
    except Problem as problem:
        refused.append(problem.message)
task = {"project_id": "shop", "task_id": "t", "session_id": "s", "revision": 1,
        "created_at": "2026-01-01T00:00:00.000Z", "input": "a zorp please"}
[row] = analyse([task], {"shop": compile_definitions(accepted)})
events = [[event["name"], event["engine"], event["evidence"]] for event in row["events"]]
print(json.dumps({"refused": refused, "events": events, "candidates": row["candidates"]}))
"""


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the packages to which an engine was added by the recipe of ARCHITECTURE.md."""
    folder = tmp_path_factory.mktemp("sources")
    for package in PACKAGES:
        source = Path(package.__path__[0])
        shutil.copytree(source, folder / source.name, ignore=shutil.ignore_patterns("__pycache__"))
    engines = folder / "phospho_workers" / "detection" / "engines"
    (engines / "word.py").write_text(IMPORTS + ENGINE)
    registry = "from phospho_workers.detection.engines.word import WordEngine\n\n_ENGINES"
    replace(engines / "__init__.py", "\n_ENGINES", registry)
    append(engines / "__init__.py", r"(_ENGINES: .*? = \([^)]*)\)", "WordEngine)")
    regex = '        EngineSpec("regex"'
    declaration = '        EngineSpec("word", "Word", required_field="keywords", own_fields=frozenset({"keywords"})),\n'
    replace(folder / "phospho_schemas" / "definitions" / "engines.py", regex, declaration + regex)
    append(folder / "phospho_schemas" / "messages.py", r"(\nEngine = Literal\[[^\]]*)\]", '"word"]')
    return folder


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert text.count(old) == 1, (path, old)
    path.write_text(text.replace(old, new))


def append(path: Path, end_of_list: str, item: str) -> None:
    """Append an item to the list whose beginning is the group of a pattern."""
    text, count = re.subn(end_of_list, lambda match: f"{match[1]}, {item}", path.read_text())
    assert count == 1, (path, end_of_list)
    path.write_text(text)


def run(sources: Path, *arguments: str) -> dict[str, object]:
    environment = {**os.environ, "PYTHONPATH": str(sources)}
    command = [sys.executable, *arguments]
    answer = subprocess.run(command, env=environment, cwd=sources, capture_output=True, text=True, timeout=120)
    assert answer.returncode == 0, answer.stderr
    document: dict[str, object] = json.loads(answer.stdout)
    return document


def test_new_engine_is_accepted_compiled_and_detected(sources: Path, tmp_path: Path) -> None:
    file = tmp_path / "events.yaml"
    file.write_text(DEFINITIONS)

    outcome = run(sources, "-c", DETECT, str(file))

    assert outcome["events"] == [["zorp", "word", "zorp"]]
    assert outcome["candidates"] == []
    [refused] = outcome["refused"]  # type: ignore[misc]
    assert "exactly one word" in refused


def test_new_engine_is_scored_by_evaluate(sources: Path, tmp_path: Path) -> None:
    files = {name: tmp_path / name for name in ("definitions", "logs", "labels")}
    files["definitions"].write_text("".join(DEFINITIONS.splitlines(keepends=True)[:3]))
    texts = ["a zorp please", "zorps", "nothing", "the zorp"]
    files["logs"].write_text("".join(json.dumps({"task_id": str(n), "input": t}) + "\n" for n, t in enumerate(texts)))
    labels = [(["zorp"], []) if "zorp" in text.split() else ([], ["zorp"]) for text in texts]
    files["labels"].write_text(
        "".join(
            json.dumps({"task_id": str(number), "positive": positive, "negative": negative}) + "\n"
            for number, (positive, negative) in enumerate(labels)
        )
    )

    options = [word for name, path in files.items() for word in (f"--{name}", str(path))]
    report = run(sources, "-m", "phospho_cli", "evaluate", "--json", *options)

    assert report["events"] == {"zorp": {"average_precision": 1.0, "f1": 1.0, "positives": 2}}
