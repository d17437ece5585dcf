"""
Every code block of docs/*.md is run by a test, read by its own program's parser here, or says why not.

A block that no test can run has `<!-- not run: REASON -->` above it.
"""

from __future__ import annotations

import itertools
import json
import re
import shlex
from dataclasses import dataclass
from pathlib import Path

import click
import pytest
import yaml

from phospho_cli import main
from phospho_cli.commands.operations.config import SETTINGS_OF_COMMANDS
from phospho_dashboard.app import api_operations
from phospho_dashboard.app import document as dashboard_document
from phospho_gateway.docs import document as gateway_document
from phospho_schemas.settings import unknown_variables

ROOT = Path(__file__).parents[2]
PAGES = sorted(ROOT.glob("docs/*.md"))
SETTINGS_CLASSES = list(itertools.chain(*SETTINGS_OF_COMMANDS.values()))
# The tests that run the blocks of a language on a page.
RUN_BY = {
    ("api.md", "python"): "tests/dashboard/test_api_document.py",
    ("cli.md", "bash"): "tests/e2e/test_readme.py",
    ("definitions.md", "yaml"): "tests/cli/commands/definitions/test_definitions_document.py",
    ("kafka.md", "python"): "tests/e2e/kafka/test_kafka_examples.py",
    ("kafka.md", "js"): "tests/e2e/kafka/test_kafka_examples.py",
    ("kafka.md", "bash"): "tests/e2e/kafka/test_kafka_examples.py",
    ("deployment.md", "sql"): "tests/store/test_clickhouse.py",
    ("bi.md", "sql"): "tests/dashboard/sql/test_documents.py",
    ("cookbook.md", "sql"): "tests/dashboard/sql/test_documents.py",
    ("themes.md", "sql"): "tests/dashboard/sql/test_documents.py",
}
BLOCK = re.compile(r"(?P<before>[^\n]*)\n+^ *```(?P<language>\w*)\n(?P<text>.*?)^ *```", re.M | re.S)
SHELLS = ("bash", "console", "")


@dataclass(frozen=True)
class Block:
    """A code block, with its page and the line before it."""

    page: str
    language: str
    text: str
    before: str

    @property
    def reason(self) -> str:
        """Why no test runs it; empty where one does."""
        match = re.fullmatch(r"<!-- not run: (.{15,}) -->", self.before.strip())
        return match[1] if match else ""

    @property
    def is_run(self) -> bool:
        return (self.page, self.language) in RUN_BY

    @property
    def is_settings(self) -> bool:
        return all(line.startswith("PHOSPHO_") for line in self.text.splitlines())

    @property
    def commands(self) -> list[list[str]]:
        """The `phospho` commands of a shell's block, without comments and what follows a pipe."""
        lines = [line.strip().removeprefix("$ ") for line in self.text.replace("\\\n", " ").splitlines()]
        parts = [part for line in lines for part in re.split(r"&&|\||>", re.sub(r"\s# .*$", "", line))]
        return [shlex.split(part)[1:] for part in parts if part.strip().startswith("phospho ")]


def blocks() -> list[Block]:
    return [
        Block(path.name, match["language"], match["text"], match["before"])
        for path in PAGES
        for match in BLOCK.finditer(path.read_text("utf-8"))
    ]


BLOCKS = blocks()


def of(*languages: str) -> list[Block]:
    return [block for block in BLOCKS if block.language in languages and not block.is_run]


def name(block: object) -> str:
    return f"{block.page}-{block.text[:25]!r}" if isinstance(block, Block) else str(block)


def test_all_blocks_are_collected() -> None:
    fences = sum(len(re.findall(r"^ *```", path.read_text("utf-8"), re.M)) for path in PAGES)

    assert len(BLOCKS) * 2 == fences > 100


def test_each_block_is_run_or_says_why_not() -> None:
    parsed = {"yaml", "json"}
    silent = [
        name(block)
        for block in BLOCKS
        if not (block.is_run or block.is_settings or block.reason or block.language in parsed)
        and not (block.language in SHELLS and block.commands)
    ]
    assert silent == []


@pytest.mark.parametrize(("page", "test"), [(page, test) for (page, _), test in RUN_BY.items()])
def test_named_test_reads_the_page(page: str, test: str) -> None:
    assert f'docs/{page}"' in (ROOT / test).read_text("utf-8")


@pytest.mark.parametrize("block", of("yaml", "json"), ids=name)
def test_data_can_be_parsed(block: Block) -> None:
    assert json.loads(block.text) if block.language == "json" else yaml.safe_load(block.text)


@pytest.mark.parametrize("block", [block for block in of("python") if block.reason], ids=name)
def test_python_that_is_not_run_compiles(block: Block) -> None:
    compile(block.text, block.page, "exec")


@pytest.mark.parametrize("block", [block for block in of(*SHELLS) if block.commands], ids=name)
def test_commands_have_these_arguments_and_options(block: Block, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is parsed as when it is run, down to the names and values of its options. None is run."""
    # The files of the examples are not there.
    monkeypatch.setattr(click.Path, "convert", lambda _, value, *_context: value)
    for arguments in block.commands:
        _parse(main, arguments)


def _parse(command: click.Command, arguments: list[str]) -> None:
    context = command.make_context(command.name or "", list(arguments))
    if isinstance(command, click.Group):
        rest = [*context._protected_args, *context.args]
        assert rest, f"{command.name} needs a command"
        _, child, remaining = command.resolve_command(context, rest)
        assert child is not None
        _parse(child, remaining)


@pytest.mark.parametrize("block", [block for block in BLOCKS if block.is_settings], ids=name)
def test_variables_of_a_block_are_settings(block: Block) -> None:
    variables = dict(line.partition("#")[0].strip().split("=", 1) for line in block.text.splitlines())

    assert unknown_variables(SETTINGS_CLASSES, variables) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_variables_that_a_page_names_are_settings(page: Path) -> None:
    names = re.findall(r"PHOSPHO_[A-Z0-9_]*[A-Z0-9](?![A-Z0-9_*…])", page.read_text("utf-8"))
    of_compose = {"PHOSPHO_GRAFANA_PASSWORD"}

    assert unknown_variables(SETTINGS_CLASSES, dict.fromkeys(set(names) - of_compose, "x")) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_endpoints_that_a_page_names_exist(page: Path) -> None:
    """Each path of the API, with any text in place of its parameters."""
    paths = [*dashboard_document(api_operations())["paths"], *gateway_document()["paths"]]
    patterns = [re.sub(r"\\{[^}]*\\}", "[^/]+", re.escape(path)) for path in paths]
    named = re.findall(r"(/api/v1/[\w{}/-]*[\w}])(?![\w/…-])", page.read_text("utf-8"))

    assert [path for path in named if not any(re.fullmatch(pattern, path) for pattern in patterns)] == []
