"""Lines into a table: all of them, or all but those that ClickHouse refuses by themselves."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from phospho_store.errors import StatementRefused
from phospho_store.store import Store
from phospho_workers.runtime import metrics

# What ClickHouse answers when a row is at fault. Any other refusal is of the table or the statement, and stops us:
# a column that is missing must not send every row to the dead letters.
_ROW_AT_FAULT = frozenset(
    {
        6,    # CANNOT_PARSE_TEXT
        20,   # NUMBER_OF_COLUMNS_DOESNT_MATCH
        25,   # CANNOT_PARSE_ESCAPE_SEQUENCE
        26,   # CANNOT_PARSE_QUOTED_STRING
        27,   # CANNOT_PARSE_INPUT_ASSERTION_FAILED
        33,   # CANNOT_READ_ALL_DATA
        38,   # CANNOT_PARSE_DATE
        41,   # CANNOT_PARSE_DATETIME
        53,   # TYPE_MISMATCH
        69,   # ARGUMENT_OUT_OF_BOUND
        72,   # CANNOT_PARSE_NUMBER
        117,  # INCORRECT_DATA
        130,  # CANNOT_READ_ARRAY_FROM_TEXT
        131,  # TOO_LARGE_STRING_SIZE
        190,  # SIZES_OF_ARRAYS_DONT_MATCH
        321,  # VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE
        349,  # CANNOT_INSERT_NULL_IN_ORDINARY_COLUMN
        441,  # INVALID_JSON (CANNOT_PARSE in some releases)
        467,  # CANNOT_PARSE_BOOL
        469,  # VIOLATED_CONSTRAINT
        675,  # CANNOT_PARSE_IPV4
    }
)  # fmt: skip


@dataclass(frozen=True)
class Refused:
    """A line that ClickHouse does not take: its index among the lines, and ClickHouse's words."""

    index: int
    detail: str


# Beyond this the fault is more likely the table's or ours than that of so many rows. It also bounds the inserts that
# halving takes, and with them the time without a poll and the tokens that are used up.
MAX_REFUSED = 1000


class TooManyRefused(Exception):
    """ClickHouse refuses row after row of one insert."""


def insert_lines(store: Store, table: str, lines: Sequence[bytes], place: str) -> list[Refused]:
    """
    Insert JSON lines and return those that were refused, at most MAX_REFUSED; the others are stored.

    `place` says where the lines stand (topic, partition and range): with a hash of the lines it is the token by
    which ClickHouse knows an insert that comes again. The hash keeps a token from standing for other lines, such as
    those of a topic that was made anew. Where ClickHouse refuses a batch for a row, the halves are inserted by
    themselves, down to the row; the split is a function of the lines, so a repetition gives the same tokens.

    Raises StoreUnavailable (try the same again), StatementRefused where it is not a row that is at fault, or
    TooManyRefused.
    """
    refused: list[Refused] = []
    _insert_part(store, table, lines, place, 0, refused)
    return refused


def _insert_part(
    store: Store, table: str, lines: Sequence[bytes], place: str, first: int, refused: list[Refused]
) -> None:
    """Insert lines that begin at index `first` of all; where a row is at fault, halve them."""
    try:
        _insert(store, table, lines, place)
        return
    except StatementRefused as refusal:
        if refusal.code not in _ROW_AT_FAULT:
            raise
        if len(lines) == 1:
            refused.append(Refused(first, str(refusal).splitlines()[0][:500]))
            if len(refused) > MAX_REFUSED:
                raise TooManyRefused(f"{table}: more than {MAX_REFUSED} rows, the last: {refused[-1].detail}") from None
            return
    half = len(lines) // 2
    _insert_part(store, table, lines[:half], place, first, refused)
    _insert_part(store, table, lines[half:], place, first + half, refused)


def _insert(store: Store, table: str, lines: Sequence[bytes], place: str) -> None:
    body = b"\n".join(lines)
    token = f"{place}:{table}:{hashlib.blake2b(body, digest_size=16).hexdigest()}" if place else ""
    with metrics.INSERT_SECONDS.labels(table).time():
        store.insert(table, body, token)
    metrics.ROWS_INSERTED.labels(table).inc(len(lines))
