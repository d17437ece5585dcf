"""Every link and every path that a document names leads to a file."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path

import click
import pytest

from phospho_cli import main

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("producers/*/README.md")])
TOP_FOLDERS = ("cli/", "dashboard/", "deploy/", "docs/", "producers/", "schemas/", "tests/", "workers/")
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
CODE = re.compile(r"`([^`\s]+)`")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_document_links_lead_to_files(document: Path) -> None:
    targets = [target for target in LINK.findall(document.read_text()) if "://" not in target]

    assert [target for target in targets if not (document.parent / target).exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_document_names_paths_that_exist(document: Path) -> None:
    names = [name for name in CODE.findall(document.read_text()) if name.startswith(TOP_FOLDERS) and "<" not in name]

    assert [name for name in names if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("document", [*DOCUMENTS, ROOT / "Makefile"], ids=lambda path: str(path.relative_to(ROOT)))
def test_document_names_commands_that_exist(document: Path) -> None:
    text = document.read_text()
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))

    assert set(re.findall(r"(?:`|\$ )make ([a-z-]+)", text)) <= targets
    modules = re.findall(r"python -m ((?:benchmarks|chaos)[\w.]*)", text)
    assert [name for name in modules if find_spec(name.rstrip(".")) is None] == []


@pytest.mark.parametrize("page", ["ARCHITECTURE.md", "docs/internals.md", "docs/failures.md", "docs/decisions.md"])
def test_pages_for_contributors_name_modules_that_exist(page: str) -> None:
    modules = {str(path) for folder in TOP_FOLDERS for path in (ROOT / folder).rglob("*.py")}
    names = [name for name in CODE.findall((ROOT / page).read_text()) if name.endswith(".py")]

    assert [name for name in names if not any(module.endswith(f"/{name}") for module in modules)] == []


def test_page_of_commands_names_every_command() -> None:
    page = (ROOT / "docs" / "cli.md").read_text()

    assert [
        name for name in main.list_commands(click.Context(main)) if not re.search(rf"`(phospho )?{name}\b", page)
    ] == []


def test_failure_matrix_names_tests_that_exist() -> None:
    tests = "".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    defined = set(re.findall(r"def (test_\w+)", tests))
    matrix = (ROOT / "docs/failures.md").read_text().partition("\n## Failure matrix\n")[2]

    named = set(re.findall(r"\btest_\w+", matrix))
    assert len(named) > 20
    assert named <= defined
