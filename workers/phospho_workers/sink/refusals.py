"""Refusals of ClickHouse: the error codes for which the server is at fault and no row is."""

from __future__ import annotations

from phospho_store.errors import StatementRefused, StoreUnavailable

# Besides those that the store itself reports as StoreUnavailable (overloaded, out of memory, disk or threads,
# read-only, too many parts, no access). Any other code may be a row's fault: a list of the rows' codes would never be
# complete, and a missing one would stop storage for every project.
_SERVER_FAULT_CODES = frozenset(
    {
        16,   # NO_SUCH_COLUMN_IN_TABLE
        40,   # CHECKSUM_DOESNT_MATCH
        47,   # UNKNOWN_IDENTIFIER
        60,   # UNKNOWN_TABLE
        74,   # CANNOT_READ_FROM_FILE_DESCRIPTOR
        75,   # CANNOT_WRITE_TO_FILE_DESCRIPTOR
        76,   # CANNOT_OPEN_FILE
        81,   # UNKNOWN_DATABASE
        88,   # CANNOT_TRUNCATE_FILE
        115,  # UNKNOWN_SETTING
        173,  # CANNOT_ALLOCATE_MEMORY
        192,  # UNKNOWN_USER
        193,  # WRONG_PASSWORD
        194,  # REQUIRED_PASSWORD
        195,  # IP_ADDRESS_NOT_ALLOWED
        201,  # QUOTA_EXCEEDED
        218,  # TABLE_IS_DROPPED
        225,  # NO_ZOOKEEPER
        246,  # CORRUPTED_DATA
        291,  # DATABASE_ACCESS_DENIED
        439,  # CANNOT_SCHEDULE_TASK
        499,  # S3_ERROR
    }
)  # fmt: skip
_MEMORY_LIMIT_EXCEEDED = 241
VIOLATED_CONSTRAINT = 469


def is_server_fault(refusal: StatementRefused) -> bool:
    """Return True for a refusal for which no row can be at fault."""
    return refusal.code in _SERVER_FAULT_CODES


def is_over_query_memory(error: StoreUnavailable) -> bool:
    """
    Return True where an insert needs more memory than one statement may take, so that halving it helps.

    The limit of the server as a whole is left out: inserts would not be halved the same way twice. Only the start of
    the message is searched, since quoted rows stand behind it.
    """
    return error.code == _MEMORY_LIMIT_EXCEEDED and "Query memory limit exceeded" in str(error)[:200]
