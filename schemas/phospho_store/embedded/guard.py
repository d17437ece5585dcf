"""
The checks on statements of a reader without a password: only reading, over tables, and nothing outside them.

`readonly=1` on the handle is the first wall, and does not suffice in this engine: under it `file('/etc/passwd')`
as a function answers, also from `SETTINGS select = …`; `INTO OUTFILE` writes, `KILL` kills, `DESCRIBE url(…)`
connects and `merge()` reads any table. So the engine classifies the statement and shows its syntax tree. Kinds of
statements, table functions and system tables must be known to be harmless; functions must not be known to do harm.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from phospho_store.embedded.errors import ACCESS_DENIED, refusal
from phospho_store.embedded.statement import Statement, word_set

_ALLOWED_ROOTS = word_set(
    "SelectWithUnionQuery SelectQuery SelectIntersectExceptQuery Explain DescribeQuery ExistsTableQuery"
    " ExistsDatabaseQuery ExistsViewQuery ShowCreateTableQuery ShowCreateDatabaseQuery ShowCreateViewQuery"
    " ShowTables ShowColumns ShowIndexes ShowFunctions ShowSetting ShowEngineQuery"
)
_ALLOWED_FIRST_WORDS = frozenset({"(", "DESC", "DESCRIBE", "EXISTS", "EXPLAIN", "FROM", "SELECT", "SHOW", "WITH"})
# None that takes the structure of a table: `values('a UInt8, b String ALIAS file(…)', 1)` calls what no tree shows.
_ALLOWED_TABLE_FUNCTIONS = word_set("numbers numbers_mt zeros zeros_mt primes generateseries generate_series view")
_ALLOWED_SYSTEM_TABLES = word_set(
    "aggregate_function_combinators build_options collations columns contributors data_skipping_index_types"
    " data_skipping_indices data_type_families database_engines databases errors events formats functions keywords"
    " licenses merge_tree_settings merges metrics mutations numbers numbers_mt one parts parts_columns primes"
    " projections settings settings_changes table_engines table_functions tables time_zones unicode view_refreshes"
    " zeros zeros_mt"
)

# Scalar functions that are refused, by what they reach. Compared in lower case, as most match in any case.
_DENIED_FUNCTIONS: dict[str, re.Pattern[str]] = {
    "files of this machine": re.compile(r"file|filesystem\w+|catboostevaluate|naivebayes\w+|structureto\w+schema"),
    "other tables past the checks": re.compile(r"dict(get|has|isin)\w*|joinget\w*|region(to|in|hierarchy)\w*"),
    "the network": re.compile(r"ai[A-Za-z]+|fqdn|reversedns\w*"),
    "other programs": re.compile(r"executable|python|evalmlmethod"),
    "the server's own state": re.compile(
        r"trap|logtrace|addressto\w+|demangle|showcertificate|get(macro|serverport|serversetting|clienthttpheader)"
        r"|generateserialid|transaction\w+|zookeeper\w*|hasthreadfuzzer|fuzz\w+"
    ),
}
_NODE = re.compile(r"(?P<indent> *)(?P<kind>\w+)(?: (?P<rest>.*))?")
_SUFFIX = re.compile(r"(?: \((?:alias|children) [^()]*\))+$")
# Parents whose direct child Function is a table function, or whose direct child Literal is a file to write.
_TABLE_PARENTS = frozenset({"TableExpression", "DescribeQuery", "TableOverride"})


@dataclass(frozen=True)
class _Node:
    kind: str
    name: str
    parent: str


def refuse_harmful(connection: Any, text: bytes, statement: Statement, scope: ReaderScope) -> None:
    """
    Raise a refusal unless a reader may run `text`, a statement without its FORMAT clause.

    `connection` must already be `readonly=1`: it parses the statement, and executes none of it.
    """
    _refuse_kind(connection, text, statement)
    tree = connection.query(b"EXPLAIN AST " + text, "TSVRaw", params=dict(scope.params)).bytes()
    nodes = _read_tree(tree.decode("utf-8", "replace"))
    if not nodes or nodes[0].kind not in _ALLOWED_ROOTS:
        raise _denied("Only statements that read are open without the password: SELECT, SHOW, DESCRIBE, EXPLAIN.")
    for node in nodes:
        _refuse_node(node, scope)


@dataclass(frozen=True)
class ReaderScope:
    """
    The scope of a reader's statement: its current database, its parameters, and the tables that are hidden from it.

    `hidden_tables` are `database.table`; a name without database is looked up in `database`.
    """

    database: str
    params: Mapping[str, str]
    hidden_tables: frozenset[str] = frozenset()


def _refuse_kind(connection: Any, text: bytes, statement: Statement) -> None:
    """
    Refuse all but one reading statement.

    The text is put behind EXPLAIN AST, so it must begin as a statement: `, file('x')` would be run there.
    """
    if statement.has_outfile:
        raise _denied("INTO OUTFILE writes files of this machine.")
    # Some settings are SQL themselves, may be changed under readonly=1, and are not in the syntax tree.
    if statement.has_settings:
        raise _denied("SETTINGS in a statement need the password; harmless ones may be parameters of the URL.")
    decoded = text.decode()
    kind = connection._conn.classify_query(decoded)
    if kind["statement_count"] > 1:
        raise _denied("One statement at a time.")
    if kind["statement_count"] == 0:
        # raises the engine's syntax error, without running anything of the text
        connection.query("SELECT formatQuery({text:String})", "Null", params={"text": _escape_tabs(decoded)})
    if kind["query_class"].name != "READ_ONLY" or statement.keyword not in _ALLOWED_FIRST_WORDS:
        raise _denied(f"{statement.keyword} needs the password: without it, this server is read-only.")


def _escape_tabs(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n")


def _read_tree(tree: str) -> list[_Node]:
    """Return the nodes of an EXPLAIN AST in order, each with its parent's kind; an unreadable line becomes a node."""
    nodes: list[_Node] = []
    path: list[str] = []
    for line in tree.splitlines():
        match = _NODE.fullmatch(line)
        if match is None:
            nodes.append(_Node("?", line, ""))
            continue
        depth, kind = len(match["indent"]), match["kind"]
        parent = path[depth - 1] if 0 < depth <= len(path) else ""
        path = [*path[:depth], kind]
        nodes.append(_Node(kind, _SUFFIX.sub("", match["rest"] or ""), parent))
    return nodes


def _refuse_node(node: _Node, scope: ReaderScope) -> None:
    if node.kind == "ColumnsApplyTransformer":
        raise _denied("APPLY hides the function that it calls; call it by name.")
    if node.kind == "Literal" and node.parent in _ALLOWED_ROOTS - {"SelectQuery"}:
        raise _denied("INTO OUTFILE writes files of this machine.")
    if node.kind == "Function" and node.parent in _TABLE_PARENTS:
        _refuse_table_function(node.name)
    elif node.kind in ("Function", "Identifier"):
        _refuse_function(node.name)
    if node.kind in ("TableIdentifier", "Identifier"):
        _refuse_table(node.name, node.kind == "TableIdentifier", scope)


def _refuse_table_function(name: str) -> None:
    if name.lower() not in _ALLOWED_TABLE_FUNCTIONS:
        raise _denied(f"The table function '{name}' is not open without the password.")


def _refuse_function(name: str) -> None:
    """Refuse a function by its name, also where it is only an identifier: `arrayMap(file, …)` calls it."""
    for reach, names in _DENIED_FUNCTIONS.items():
        if names.fullmatch(name.lower()):
            raise _denied(f"The function '{name}' reaches {reach} and is not open without the password.")


def _refuse_table(name: str, is_table: bool, scope: ReaderScope) -> None:
    """Refuse a hidden table by its name, also where it is only an identifier, as after `IN`."""
    full_name = name if "." in name or not is_table else f"{scope.database}.{name}"
    database, _, table = full_name.partition(".")
    if database.lower() == "system" and table and table not in _ALLOWED_SYSTEM_TABLES:
        raise _denied(f"The table '{full_name}' is not open without the password.")
    if {name, full_name, f"{scope.database}.{name}"} & scope.hidden_tables:
        raise _denied(f"The table '{full_name}' is not open without the password.")


def _denied(reason: str) -> Exception:
    return refusal(ACCESS_DENIED, reason)
