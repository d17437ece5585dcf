"""The conventions that no linter knows: folders, names, docstrings, loggers, the environment and the clock."""

from __future__ import annotations

import ast
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import TypeVar

import pytest

from phospho_schemas.definitions.engines import ENGINE_SPECS

REPOSITORY = Path(__file__).parents[1]
PACKAGES = ("cli", "dashboard", "producers/gateway", "schemas", "workers")
# The Python SDK runs in other people's processes: it has a logger of one name, and its own settings.
PRODUCT = (*PACKAGES, "producers/python")

MAX_POSITIONAL = 4
MAX_TEST_NAME = 70
MAX_MODULES_OF_PRODUCT = 15
MAX_MODULES_OF_TESTS = 20
# Callables that take any number of positional arguments of one kind.
VARIADIC = {
    "analysed": "columns of a query",
    "derived_id": "parts of an identity",
    "derived_uuid": "parts of an identity",
    "run": "a function for another thread, and its arguments",
    "warning": "arguments of a message of `logging`",
}
RIDDLES = {"asked", "chosen", "found", "known", "meant", "one", "place", "said", "told", "tried"}
RIDDLES_OF_CALLS = {"apart", "given", "growing", "held", "kept", "others", "sent", "shown", "taken"}
QUESTION = re.compile(r"(What|Who|Whom|Whose|Which|Whether|How|Where|When)\b")

_Node = TypeVar("_Node", bound=ast.AST)


@pytest.fixture(scope="module", autouse=True)
def _forget_nodes() -> Iterator[None]:
    """Free the nodes, millions of objects that each later collection of garbage would go through."""
    yield
    _nodes.cache_clear()


@cache
def _nodes(folder: str) -> dict[type[ast.AST], list[tuple[str, ast.AST]]]:
    """Return the nodes of the modules in a folder by type, each with its path: they are parsed and walked once."""
    nodes_by_type: dict[type[ast.AST], list[tuple[str, ast.AST]]] = defaultdict(list)
    for path in sorted((REPOSITORY / folder).rglob("*.py")):
        name = str(path.relative_to(REPOSITORY))
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            nodes_by_type[type(node)].append((name, node))
    return nodes_by_type


def nodes(kind: type[_Node], *folders: str) -> Iterator[tuple[str, _Node]]:
    """Yield the nodes of a type of the modules in `folders`, each with its path."""
    for folder in folders:
        yield from _nodes(folder)[kind]  # type: ignore[misc]


def lines(*nodes_of_paths: tuple[str, ast.AST]) -> list[str]:
    """Return where nodes are: path and line."""
    return [f"{path}:{getattr(node, 'lineno', 1)}" for path, node in nodes_of_paths]


def test_calls_pass_at_most_four_arguments_by_position() -> None:
    crowded = [(path, call) for path, call in nodes(ast.Call, *PRODUCT) if len(call.args) > MAX_POSITIONAL]
    names = {lines(found)[0]: ast.unparse(found[1].func).rpartition(".")[2] for found in crowded}
    assert [where for where, name in names.items() if name not in VARIADIC] == []
    assert set(names.values()) == set(VARIADIC), "a name on the list needs no exemption any more"


@pytest.mark.parametrize("folder", [*PRODUCT, "tests"])
def test_no_docstring_begins_as_a_question(folder: str) -> None:
    for kind in (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Module):
        documented = nodes(kind, folder)
        assert lines(*(pair for pair in documented if QUESTION.match(ast.get_docstring(pair[1]) or ""))) == []


def test_variables_carry_a_noun() -> None:
    """`definition` or `cached_key`, and not `one` or `known`."""
    assert lines(*(pair for pair in nodes(ast.Name, *PACKAGES) if pair[1].id in RIDDLES)) == []
    assert lines(*(pair for pair in nodes(ast.arg, *PACKAGES) if pair[1].arg in RIDDLES)) == []


def test_functions_and_classes_are_no_riddles() -> None:
    """A name says what is made or returned: `_library_row` or `merge_overlaps`, and not `_listed` or `_apart`."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    definitions = [pair for kind in kinds for pair in nodes(kind, *PACKAGES)]
    assert lines(*(pair for pair in definitions if pair[1].name.strip("_").lower() in RIDDLES | RIDDLES_OF_CALLS)) == []


def test_engines_are_told_apart_by_their_properties() -> None:
    """`engine_spec(definition.engine).learns`, and not `definition.engine == "semantic"`."""
    quoted = "|".join(rf"['\"]{name}['\"]" for name in ENGINE_SPECS)
    comparison = re.compile(
        rf"\bengine\b.*[=!]= ?({quoted})|({quoted}) [=!]= .*\bengine\b|\bengine\b.* in [({{[].*({quoted})"
    )
    compares = nodes(ast.Compare, *PACKAGES)
    assert lines(*(pair for pair in compares if comparison.search(ast.unparse(pair[1])))) == []
    templates = (REPOSITORY / "dashboard").rglob("*.html")
    assert [path.name for path in templates if comparison.search(path.read_text("utf-8"))] == []


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


@pytest.mark.parametrize(
    ("folders", "limit"),
    [(PRODUCT, MAX_MODULES_OF_PRODUCT), (["tests"], MAX_MODULES_OF_TESTS)],
    ids=["product", "tests"],
)
def test_folders_hold_few_modules(folders: Sequence[str], limit: int) -> None:
    """A newcomer reads the list of a folder's modules at a glance: group them by idea before it grows longer."""
    modules = [path for folder in folders for path in (REPOSITORY / folder).rglob("*.py") if path.stem != "__init__"]
    counts = Counter(str(path.parent.relative_to(REPOSITORY)) for path in modules)
    assert len(counts) > 10
    assert {folder: count for folder, count in counts.items() if count > limit} == {}


def test_names_of_tests_are_short() -> None:
    functions = [*nodes(ast.FunctionDef, "tests"), *nodes(ast.AsyncFunctionDef, "tests")]
    names = [function.name for _, function in functions if function.name.startswith("test_")]
    assert len(names) > 1_000
    assert [name for name in names if len(name) > MAX_TEST_NAME] == []


def test_loggers_have_the_name_of_their_module() -> None:
    """Libraries' loggers may be set up, by an attribute of a call; what is assigned logs messages of its own."""
    assigned = [pair for pair in nodes(ast.Assign, *PACKAGES) if isinstance(pair[1].value, ast.Call)]
    loggers = [(pair, text) for pair in assigned if "getLogger(" in (text := ast.unparse(pair[1]))]
    assert len(loggers) > 10
    assert lines(*(pair for pair, text in loggers if text != "logger = logging.getLogger(__name__)")) == []


def test_schemas_import_pydantic_alone() -> None:
    """A script that reads topics or types rows needs no other package."""
    imports = [pair for kind in (ast.Import, ast.ImportFrom) for pair in nodes(kind, "schemas/phospho_schemas")]
    allowed = {*sys.stdlib_module_names, "phospho_schemas", "pydantic", "pydantic_core"}
    foreign = [
        pair
        for pair in imports
        for name in ([pair[1].module or ""] if isinstance(pair[1], ast.ImportFrom) else [x.name for x in pair[1].names])
        if name.partition(".")[0] not in allowed and not getattr(pair[1], "level", 0)
    ]
    assert lines(*foreign) == []


def test_environment_is_read_by_the_settings_loader_only() -> None:
    reads_environment = re.compile(r"os\.(environ|getenv)|import environ|envvar=")
    modules = [path for package in PACKAGES for path in (REPOSITORY / package).rglob("*.py")]
    readers = [path for path in modules if reads_environment.search(path.read_text("utf-8"))]
    assert readers == [REPOSITORY / "schemas/phospho_schemas/settings.py"]


def test_clock_is_read_through_utc_now_only() -> None:
    clocks = {"datetime.now", "datetime.utcnow", "datetime.today", "date.today"}
    last_words = {clock.rpartition(".")[2] for clock in clocks}
    attributes = [(path, node) for path, node in nodes(ast.Attribute, *PACKAGES) if node.attr in last_words]
    readers = {path for path, node in attributes if ast.unparse(node) in clocks}
    assert readers == {"schemas/phospho_schemas/times.py"}
