"""Rows of Parquet and Excel files."""

from __future__ import annotations

import datetime
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from phospho_store.log_files.records import BadLine, BrokenFile, Record, cell_record, json_record

_PARQUET = b"PAR1"
_EXCEL_SUFFIXES = (".xlsx", ".xlsm", ".xls")
# A workbook is a zip of XML, of which openpyxl holds the table of texts in memory.
_MAX_WORKBOOK_BYTES = 1_000_000_000
_AS_JSON = (
    "SETTINGS date_time_output_format = 'iso', output_format_json_quote_64bit_integers = 0,"
    " output_format_json_named_tuples_as_objects = 1, max_memory_usage = 1000000000, max_threads = 2"
)


def is_parquet(head: bytes) -> bool:
    """Return whether a file begins as Parquet does."""
    return head.startswith(_PARQUET)


def is_excel(path: Path) -> bool:
    """Return whether a file is an Excel workbook, by its name."""
    return path.name.lower().endswith(_EXCEL_SUFFIXES)


def parquet_rows(path: Path) -> Iterator[Record | BadLine]:
    """Yield the rows of a Parquet file without their nulls; the embedded ClickHouse reads it, in bounded memory."""
    # Only this format needs the engine, which takes a moment to load.
    import chdb

    name = str(path.resolve()).replace("\\", "\\\\").replace("'", "\\'")
    connection = chdb.connect(":memory:")
    try:
        rows = connection.send_query(f"SELECT * FROM file('{name}', Parquet) {_AS_JSON}", "JSONEachRow")
        for number, line in enumerate(_lines(rows), 1):
            yield _parquet_record(number, line)
    except RuntimeError as error:
        raise BrokenFile(f"The Parquet file can't be read: {str(error).splitlines()[0][:200]}") from error
    finally:
        connection.close()


def excel_rows(path: Path) -> Iterator[Record | BadLine]:
    """Yield the rows of a workbook's first sheet, whose first row names the columns."""
    import openpyxl
    from openpyxl.utils.exceptions import InvalidFileException

    try:
        _check_size(path)
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
    except zipfile.BadZipFile as error:
        raise BrokenFile("The Excel file can't be read: it is no .xlsx workbook. Save it as .xlsx or CSV.") from error
    except (InvalidFileException, KeyError, ValueError) as error:
        raise BrokenFile(f"The Excel file can't be read: {error}") from error
    try:
        rows = book.worksheets[0].iter_rows(values_only=True)
        header = [_cell_text(cell) for cell in next(rows, ())]
        for number, row in enumerate(rows, 2):
            cells = [_cell_text(cell) for cell in row]
            if any(cells):
                # A row may end before the header does, or go on with empty cells.
                yield cell_record(number, (cells + [""] * len(header))[: len(header)], header)
    finally:
        book.close()


def _check_size(path: Path) -> None:
    """Raise BrokenFile for a workbook that unpacks to too much; zipfile unpacks no more than its directory says."""
    with zipfile.ZipFile(path) as archive:
        unpacked_bytes = sum(entry.file_size for entry in archive.infolist())
    if unpacked_bytes > _MAX_WORKBOOK_BYTES:
        raise BrokenFile(
            f"The Excel file unpacks to {unpacked_bytes / 1e6:,.0f} MB; at most {_MAX_WORKBOOK_BYTES / 1e6:,.0f} MB are"
            " read. Save it as CSV."
        )


def _lines(chunks: Any) -> Iterator[bytes]:
    """Yield the lines of a streamed answer, whose chunks hold whole ones."""
    for chunk in chunks:
        yield from chunk.bytes().splitlines()


def _parquet_record(number: int, line: bytes) -> Record | BadLine:
    record = json_record(number, line)
    if isinstance(record, BadLine) or None not in record.fields.values():
        return record
    fields = {name: value for name, value in record.fields.items() if value is not None}
    return Record(number, orjson.dumps(fields), fields, is_json=True)


def _cell_text(cell: Any) -> str:
    """Return a cell as CSV has it: a date in ISO 8601, a whole number without a point."""
    if cell is None:
        return ""
    if isinstance(cell, datetime.datetime | datetime.date):
        return cell.isoformat()
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return str(cell)
