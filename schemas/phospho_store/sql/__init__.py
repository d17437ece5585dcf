"""SQL that more than one reader needs, as named builders; and how SQL is put together."""

from __future__ import annotations

from string import Template

__all__ = ["compose"]


def compose(template: str, /, **parts: str) -> str:
    """
    Fill the `$name` placeholders of a template with SQL.

    ClickHouse's own parameters, `{name:Type}`, stay as they are; a literal dollar is `$$`. Values are bound
    as parameters, never filled in here. Raises KeyError for a placeholder without a part.
    """
    return Template(template).substitute(parts)
