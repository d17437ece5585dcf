"""
The guard of users' SQL: the one place that makes it safe.

1. ClickHouse itself parses the text, as a value (`formatQuerySingleLine`): nothing runs, and what comes back is one
   statement in one spelling, without comments. That spelling is what is checked, and what runs later.
2. Its syntax tree (`EXPLAIN AST`) must be made of known kinds of node, of functions that only compute, and of tables
   that are views of ours. All three are allow lists: what a later ClickHouse adds is refused until it is read here.
3. The tree does not show everything (a window's frame, for one). So the text is counted against it: it must hold
   the SELECTs and the calls of the tree, and no others.
4. Neither shows what ClickHouse parses out of a text in quotes. No function may stay that reads SQL from one (the
   structure of `values('a UInt8, b String ALIAS file(…)', 1)` is such a text, as are those of `format` and `null`),
   and a type in quotes must stand there as it is, and be no state of an aggregate.

`isolation_settings` of `sql/api.py` keeps the rows of other projects out, which holds only while step 2 lets no
SETTINGS through. `readonly` can't replace any of this: under it, `file('/etc/passwd')` still reads the file.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import takewhile

from phospho_dashboard.sql.explanations import syntax_problem
from phospho_dashboard.sql.functions import FunctionCatalogue
from phospho_store.errors import StatementRefused
from phospho_store.store import Store
from phospho_store.view_columns import VIEW_REFERENCES
from phospho_web.problems import Problem

VIEWS = tuple(VIEW_REFERENCES)
# Of numbers alone: a table function that takes the structure of its table takes expressions, for ALIAS and DEFAULT.
TABLE_FUNCTIONS = frozenset({"numbers", "zeros", "generateSeries", "generate_series"})

# Each call may cost a pass over all rows in hand before ClickHouse looks at its clock again.
_MAX_CALLS = 500
# What `SELECT 1` reads from.
_NO_TABLE = "system.one"
_NODES = frozenset(
    {
        "SelectWithUnionQuery", "SelectIntersectExceptQuery", "SelectQuery", "ExpressionList", "Subquery",
        "WithElement", "TablesInSelectQuery", "TablesInSelectQueryElement", "TableExpression", "TableIdentifier",
        "TableJoin", "ArrayJoin", "Function", "Identifier", "Literal", "Asterisk", "QualifiedAsterisk",
        "ColumnsRegexpMatcher", "QualifiedColumnsRegexpMatcher", "ColumnsListMatcher", "QualifiedColumnsListMatcher",
        "ColumnsTransformerList", "ColumnsExceptTransformer", "ColumnsReplaceTransformer",
        "ColumnsReplaceTransformer::Replacement", "OrderByElement", "InterpolateElement", "WindowListElement",
        "WindowDefinition",
    }
)  # fmt: skip
_NODE_HINTS = {
    "Set": "SETTINGS are the server's",
    "ColumnsApplyTransformer": "name the columns instead of APPLY",
    "SampleRatio": "the views have no sampling; use LIMIT or WHERE rand() % 10 = 0",
}
_NODE = re.compile(r"(?P<indent> *)(?P<kind>[A-Za-z:]+)(?: (?P<name>.*?))??(?: \(alias .*\))?(?: \(children \d+\))?")
_FORGED_END = re.compile(r" \((?:alias|children) ")
# In the engine's own database `/etc/passwd` is a table as well: that of the file, or of a URL. We are in another one.
_TABLE_NAME = re.compile(r"[\w ]+")
_QUOTED = re.compile(r"'(?:[^'\\]|\\.)*'|(`(?:[^`\\]|\\.)*`)", re.DOTALL)
_CALL = re.compile(r"([A-Za-z_@][\w@]*)\(")
# Functions whose second argument is the name of a type. A text cast to a state is read as the state's own bytes.
_CASTS = frozenset(
    {"cast", "_cast", "accuratecast", "accuratecastornull", "accuratecastordefault", "reinterpret", "kqlparametercast"}
)
_STATE = "aggregatefunction"
# COLUMNS('…') is a node of its own in the tree.
_CALLS_THAT_ARE_NODES = frozenset({"COLUMNS"})
_NAMES_IN_USE = """
SELECT groupUniqArray(name) AS tables, (SELECT groupUniqArray(name) FROM system.databases) AS databases
FROM system.tables WHERE database = currentDatabase()
"""


@dataclass(frozen=True)
class Node:
    """
    One line of a syntax tree: its kind, its name (a table's, a function's) and the kind of what it stands in.

    `line` is all of it: a literal may hold what looks like an alias, and is cut there in `name`.
    """

    kind: str
    name: str
    parent: str
    depth: int
    line: str


class SqlGuard:
    """Check statements. Blocking: three small queries a statement; the catalogue of functions is read once."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._functions = FunctionCatalogue(store)

    def checked(self, sql: str) -> str:
        """Return the statement to run in the place of `sql`; Problem 400 names the part that is not allowed."""
        statement = self._formatted(sql)
        nodes = self._tree(statement)
        if sum(node.kind == "Function" for node in nodes) > _MAX_CALLS:
            raise _refused(f"a statement of more than {_MAX_CALLS} calls", "an operator, such as +, is one too")
        for node in nodes:
            self._check_node(node)
        self._check_names(nodes)
        _check_types(nodes)
        _check_text(statement, nodes)
        return statement

    def _formatted(self, sql: str) -> str:
        try:
            rows = self._store.rows("SELECT formatQuerySingleLine({sql:String}) AS statement", {"sql": sql})
        except StatementRefused as error:
            raise syntax_problem(error, sql) from None
        return str(rows[0]["statement"])

    def _tree(self, statement: str) -> list[Node]:
        """Return the nodes of a statement. As a subquery, EXPLAIN takes a SELECT alone, with no FORMAT or OUTFILE."""
        for quoted in _QUOTED.finditer(statement):
            if quoted[1] and "\\" in quoted[1]:
                # A line break in a name would forge a line of the tree.
                raise _refused("a quoted name with a backslash, a quote or a control character")
            if quoted[1] and _FORGED_END.search(quoted[1]):
                raise _refused("a quoted name that holds what the end of a line of the tree looks like")
        try:
            text = self._store.raw(f"SELECT explain FROM (EXPLAIN AST {statement})", "TSVRaw")
        except StatementRefused:
            raise Problem(
                400,
                "not_allowed",
                "only one SELECT can be run, without FORMAT, SETTINGS or INTO OUTFILE",
                'the format is chosen beside the query: phospho query --format, or "format" in the body',
            ) from None
        return list(_nodes(text.decode("utf-8", "replace")))

    def _check_node(self, node: Node) -> None:
        if node.kind not in _NODES:
            raise _refused(f"{node.kind} in a query", _NODE_HINTS.get(node.kind, ""))
        if node.kind == "Function" and node.parent == "TableExpression":
            if node.name not in TABLE_FUNCTIONS:
                raise _refused(f"the table function {node.name}()", f"there are: {', '.join(VIEWS)}")
        elif node.kind == "Function" and not self._functions.allows(node.name):
            similar = self._functions.similar(node.name)
            hint = f"did you mean {similar}()?" if similar else "functions that only compute are allowed"
            raise _refused(f"the function {node.name}()", hint)

    def _check_names(self, nodes: list[Node]) -> None:
        """Refuse what names a table that is not a view of ours; a name that no table has is a CTE's or a column's."""
        in_use = self._store.rows(_NAMES_IN_USE)[0]
        tables = set(in_use["tables"]) - set(VIEWS)
        databases = {name.lower() for name in in_use["databases"]}
        for node in nodes:
            if node.kind not in ("TableIdentifier", "Identifier") or node.name == _NO_TABLE:
                continue
            if node.kind == "TableIdentifier" and "." not in node.name and not _TABLE_NAME.fullmatch(node.name):
                raise _refused(f"the table {node.name}", f"there are: {', '.join(VIEWS)}")
            first, dot, _ = node.name.partition(".")
            is_qualified = bool(dot) and (node.kind == "TableIdentifier" or first.lower() in databases)
            if is_qualified or node.name in tables:
                raise _refused(f"the table {node.name}", f"there are: {', '.join(VIEWS)}, without a database's name")


def _nodes(tree: str) -> Iterator[Node]:
    open_kinds: list[str] = []
    for line in filter(None, tree.split("\n")):
        match = _NODE.fullmatch(line)
        if match is None:
            raise _refused(f"this part of a query: {line.strip()[:100]}")
        depth = len(match["indent"])
        del open_kinds[depth:]
        yield Node(
            kind=match["kind"],
            name=match["name"] or "",
            parent=open_kinds[-1] if open_kinds else "",
            depth=depth,
            line=line,
        )
        open_kinds.append(match["kind"])


def _check_types(nodes: list[Node]) -> None:
    """Refuse a cast to a type that is computed, or that is the state of an aggregate."""
    for index, node in enumerate(nodes):
        if node.kind != "Function" or node.name.lower() not in _CASTS:
            continue
        arguments = _arguments(nodes, index)
        if len(arguments) < 2 or arguments[1].kind != "Literal":
            raise _refused(f"{node.name}() to a type that is not written out")
        if _STATE in arguments[1].line.lower():
            raise _refused("a cast to the state of an aggregate function")


def _arguments(nodes: list[Node], index: int) -> list[Node]:
    """Return the arguments of the function at `index`; none where it has parameters too, as no cast has."""
    depth = nodes[index].depth
    inside = list(takewhile(lambda node: node.depth > depth, nodes[index + 1 :]))
    lists = [node for node in inside if node.depth == depth + 1]
    return [node for node in inside if node.depth == depth + 2] if len(lists) == 1 else []


def _check_text(statement: str, nodes: list[Node]) -> None:
    """Refuse a statement whose text shows a call or a SELECT that its tree does not."""
    names = Counter(node.kind for node in nodes)
    functions = {node.name for node in nodes if node.kind == "Function"} | _CALLS_THAT_ARE_NODES
    unquoted = _QUOTED.sub(lambda quoted: f" {quoted[1][1:-1]}" if quoted[1] else "''", statement)
    for call in _CALL.findall(unquoted):
        if call not in functions:
            raise _refused(f"{call}() in this place")
    if len(re.findall(r"\bSELECT\b", _QUOTED.sub("''", statement))) != names["SelectQuery"]:
        raise _refused("a subquery in this place")


def _refused(part: str, hint: str = "") -> Problem:
    return Problem(400, "not_allowed", f"{part} is not allowed", hint)
