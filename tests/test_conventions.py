"""The conventions of the code that no linter knows: names, docstrings, loggers, the environment and the clock."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
PACKAGES = ("cli", "dashboard", "producers/gateway", "schemas", "workers")
# The Python SDK runs in other people's processes: it has a logger of one name, and its own settings.
PRODUCT = (*PACKAGES, "producers/python")

MAX_POSITIONAL = 4
MAX_TEST_NAME = 70
# Callables that take any number of positional arguments of one kind.
VARIADIC = {
    "analysed": "columns of a query",
    "derived_id": "parts of an identity",
    "derived_uuid": "parts of an identity",
    "run": "a function for another thread, and its arguments",
    "warning": "arguments of a message of `logging`",
}
RIDDLES = {"asked", "chosen", "found", "known", "one", "place", "said", "told"}
QUESTION = re.compile(r"(What|Who|Whom|Whose|Which|Whether|How|Where|When)\b")

_Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Module


@cache
def trees(*folders: str) -> dict[str, ast.Module]:
    paths = sorted(path for folder in folders for path in (REPOSITORY / folder).rglob("*.py"))
    return {str(path.relative_to(REPOSITORY)): ast.parse(path.read_text("utf-8")) for path in paths}


def nodes(*folders: str) -> Iterator[tuple[str, ast.AST]]:
    """Yield every node of the modules in `folders`, each with its path and line."""
    for path, tree in trees(*folders).items():
        for node in ast.walk(tree):
            yield f"{path}:{getattr(node, 'lineno', 1)}", node


def calls(*folders: str) -> Iterator[tuple[str, str, ast.Call]]:
    """Yield every call, with its path and line and the text of what is called."""
    for where, node in nodes(*folders):
        if isinstance(node, ast.Call):
            yield where, ast.unparse(node.func), node


def test_calls_pass_at_most_four_arguments_by_position() -> None:
    crowded = {
        f"{where} {called}": called.rpartition(".")[2]
        for where, called, call in calls(*PRODUCT)
        if len(call.args) > MAX_POSITIONAL
    }
    assert [where for where, name in crowded.items() if name not in VARIADIC] == []
    assert set(crowded.values()) == set(VARIADIC), "a name on the list needs no exemption any more"


@pytest.mark.parametrize("folder", [*PRODUCT, "tests"])
def test_no_docstring_begins_as_a_question(folder: str) -> None:
    documented = [(where, node) for where, node in nodes(folder) if isinstance(node, _Definition)]
    assert [where for where, node in documented if QUESTION.match(ast.get_docstring(node) or "")] == []


def test_variables_carry_a_noun() -> None:
    """`definition` or `cached_key`, and not `one` or `known`."""
    variables = [(where, node) for where, node in nodes(*PACKAGES) if isinstance(node, ast.Name)]
    parameters = [(where, node) for where, node in nodes(*PACKAGES) if isinstance(node, ast.arg)]
    assert [where for where, variable in variables if variable.id in RIDDLES] == []
    assert [where for where, parameter in parameters if parameter.arg in RIDDLES] == []


def test_variables_of_templates_carry_a_noun() -> None:
    bound = re.compile(r"{%-? *(?:for|set|macro) +([^%]*?)(?: in |=|%})")
    templates = (REPOSITORY / "dashboard").rglob("*.html")
    names = {
        f"{path.name}: {name}"
        for path in templates
        for binding in bound.findall(path.read_text("utf-8"))
        for name in re.findall(r"\w+", binding)
        if name in RIDDLES
    }
    assert names == set()


def test_names_of_tests_are_short() -> None:
    functions = [node for _, node in nodes("tests") if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    names = [node.name for node in functions if node.name.startswith("test_")]
    assert [name for name in names if len(name) > MAX_TEST_NAME] == []


def test_loggers_have_the_name_of_their_module() -> None:
    """Libraries' loggers may be set up, by an attribute of a call; what is assigned logs messages of its own."""
    assigned = [(where, node) for where, node in nodes(*PACKAGES) if isinstance(node, ast.Assign)]
    loggers = {where: ast.unparse(node) for where, node in assigned if "getLogger(" in ast.unparse(node)}
    assert len(loggers) > 10
    assert [where for where, text in loggers.items() if text != "logger = logging.getLogger(__name__)"] == []


def test_environment_is_read_by_the_settings_loader_only() -> None:
    reads_environment = re.compile(r"os\.(environ|getenv)|import environ|envvar=")
    modules = [path for package in PACKAGES for path in (REPOSITORY / package).rglob("*.py")]
    readers = [path for path in modules if reads_environment.search(path.read_text("utf-8"))]
    assert readers == [REPOSITORY / "schemas/phospho_schemas/settings.py"]


def test_clock_is_read_through_utc_now_only() -> None:
    clocks = {"datetime.now", "datetime.utcnow", "datetime.today", "date.today"}
    last_words = {clock.rpartition(".")[2] for clock in clocks}
    attributes = [(where, node) for where, node in nodes(*PACKAGES) if isinstance(node, ast.Attribute)]
    readers = {
        where.partition(":")[0] for where, node in attributes if node.attr in last_words and ast.unparse(node) in clocks
    }
    assert readers == {"schemas/phospho_schemas/times.py"}
