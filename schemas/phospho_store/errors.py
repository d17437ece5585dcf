"""
What can go wrong with the store.

StoreError
├── StoreUnavailable   try again later: it is away, overloaded, or out of memory
└── StatementRefused   it answered, and said no: the statement or a row of it is at fault
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
