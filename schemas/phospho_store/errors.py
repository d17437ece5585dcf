"""
The errors of the store. HTTP status codes are the edge's: phospho_web.problems maps these to them.

StoreError
├── StoreUnavailable    ClickHouse is away, overloaded or out of memory: try again later
├── StatementRefused    ClickHouse answered, and refused the statement or a row of it
├── IncompatibleStore   another version's migrations made the tables
└── ChangeRefused       the stored rows don't allow the change; nothing was stored
    ├── Conflict        they have changed since they were read, or the name is taken
    └── LimitReached    the project has as many of them as it may
"""

from __future__ import annotations


class StoreError(Exception):
    """Base of the errors of the store."""


class StoreUnavailable(StoreError):
    """
    ClickHouse did not answer, or can't take this now. The same statement may succeed later.

    `code` is ClickHouse's error code (0 where it gave none).
    """

    def __init__(self, message: str, code: int = 0) -> None:
        super().__init__(message)
        self.code = code


class StatementRefused(StoreError):
    """
    ClickHouse refused the statement; it will refuse it again.

    `code` is ClickHouse's error code (0 where unknown).
    """

    def __init__(self, message: str, code: int = 0) -> None:
        super().__init__(message)
        self.code = code


class IncompatibleStore(StoreError):
    """The tables were made by migrations that this version doesn't have. Nothing was changed."""


class ChangeRefused(StoreError):
    """The stored rows don't allow a change: a stable `code`, what happened (`message`) and what to do (`hint`)."""

    def __init__(self, code: str, message: str, hint: str = "") -> None:
        super().__init__(f"{message}: {hint}" if hint else message)
        self.code = code
        self.message = message
        self.hint = hint


class Conflict(ChangeRefused):
    """The rows have changed since the caller read them, or the name is taken."""


class LimitReached(ChangeRefused):
    """The project has as many of them as it may."""
