"""Explanations of failed SQL: what is wrong, in which line, and the name that was probably meant."""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches

from phospho_store.errors import StatementRefused
from phospho_store.view_columns import VIEW_REFERENCES
from phospho_web.problems import Problem

_MAX_CHARACTERS = 1_000
_MAX_LINE_CHARACTERS = 120
_POSITION = re.compile(r"Syntax error[^:]*: failed at (?:end of query|position \d+) .*?\(line (\d+), col (\d+)\)")
_OPEN_BRACKET = "Unmatched parentheses"
_UNKNOWN_COLUMN = re.compile(
    r"Unknown (?:expression|expression or function|function expression) identifier [`']([^`']+)[`']"
    r"|Identifier '([^']+)' cannot be resolved"
)
_UNKNOWN_VIEW = re.compile(r"Unknown table expression identifier '([^']+)'")
_NOT_GROUPED = re.compile(r"Column '(?:[^']*\.)?([^'.]+)' is not under aggregate function")
_SUGGESTED = re.compile(r"Maybe you meant:? \[?'?([\w.]+)")
_CODE = re.compile(r"^Code: \d+\. DB::Exception: | ?\([A-Z_]+\)$")
# What ClickHouse appends: the statement as it ran, which the user knows.
_STATEMENT = re.compile(r":? In (?:scope|query) (?:SELECT|WITH) ", re.DOTALL)
_WORD = re.compile(r"[A-Za-z_]+")
_KEYWORDS = (
    "SELECT", "FROM", "WHERE", "GROUP", "ORDER", "LIMIT", "HAVING", "JOIN", "LEFT", "INNER", "UNION", "WITH",
    "DISTINCT", "BETWEEN", "OFFSET",
)  # fmt: skip


def syntax_problem(error: StatementRefused, sql: str) -> Problem:
    """Return the problem of SQL that ClickHouse can't parse."""
    text = _message_text(str(error))
    position = _POSITION.search(text)
    if position is None:
        return Problem(400, "invalid_sql", text, "send one SELECT statement")
    number, column = int(position[1]), int(position[2])
    line = next(iter(sql.splitlines()[number - 1 : number]), "")
    keyword = _misspelt_keyword(line)
    if _OPEN_BRACKET in text:
        message, hint = "a bracket has no counterpart", "close it, or remove it"
    elif keyword:
        message, hint = "this is not valid SQL", f"did you mean {keyword}?"
    else:
        message, hint = "this is not valid SQL", "check what stands at that place and just before it"
    shown_line = line.strip()[:_MAX_LINE_CHARACTERS]
    return Problem(400, "invalid_sql", f"line {number}, column {column}: {message}: {shown_line}", hint)


def explained(error: StatementRefused, sql: str) -> Problem:
    """Return the problem of SQL that ClickHouse refused when it ran."""
    text = str(error)
    views = [view for view in VIEW_REFERENCES if re.search(rf"\b{view}\b", sql)]
    if match := _UNKNOWN_COLUMN.search(text):
        name = (match[1] or match[2]).rpartition(".")[2]
        names = {column.name for view in views for column in VIEW_REFERENCES[view].columns}
        hint = _suggestion(name, names, text) or _columns_hint(views)
        return _failed(f"there is no column {name}", sql, name, hint)
    if match := _UNKNOWN_VIEW.search(text):
        hint = _suggestion(match[1], VIEW_REFERENCES, text)
        views_hint = f"the views are: {', '.join(VIEW_REFERENCES)}"
        return _failed(f"there is no view {match[1]}", sql, match[1], f"{hint} {views_hint}".strip())
    if match := _NOT_GROUPED.search(text):
        hint = f"add {match[1]} to GROUP BY, or aggregate it, such as any({match[1]})"
        return _failed(f"{match[1]} is neither grouped nor aggregated", sql, match[1], hint)
    return Problem(400, "query_failed", _message_text(text), _columns_hint(views))


def _failed(message: str, sql: str, name: str, hint: str) -> Problem:
    line = next((i for i, line in enumerate(sql.splitlines(), 1) if re.search(rf"\b{re.escape(name)}\b", line)), 0)
    return Problem(400, "query_failed", f"line {line}: {message}" if line else message, hint)


def _suggestion(name: str, names: Iterable[str], text: str) -> str:
    """Return a question with the name that is most like `name`: of our views, or as ClickHouse suggests it."""
    similar = get_close_matches(name.lower(), sorted(names), 1, 0.6)
    suggested = _SUGGESTED.search(text)
    suggestion = similar[0] if similar else suggested[1] if suggested else ""
    return f"did you mean {suggestion}?" if suggestion else ""


def _misspelt_keyword(line: str) -> str:
    words = [word.upper() for word in _WORD.findall(line)]
    similar = (get_close_matches(word, _KEYWORDS, 1, 0.75) for word in words if word not in _KEYWORDS)
    return next((matches[0] for matches in similar if matches), "")


def _columns_hint(views: Iterable[str]) -> str:
    """Return how to see the columns of the views that a statement names, or which views there are."""
    described = "; ".join(f"DESCRIBE {view}" for view in views)
    return f"to see the columns: {described}" if described else f"the views are: {', '.join(VIEW_REFERENCES)}"


def _message_text(text: str) -> str:
    """Return ClickHouse's message without its codes, and without the statement around it."""
    first_line = text.split("\n", 1)[0]
    return _CODE.sub("", _STATEMENT.split(_CODE.sub("", first_line))[0])[:_MAX_CHARACTERS]
