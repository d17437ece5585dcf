"""Rows of Parquet and Excel files."""

from __future__ import annotations

import base64
import datetime
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from phospho_store.log_files.records import BadLine, BrokenFile, Record, cell_record, column_names, json_record

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
        raise BrokenFile(
            "The Excel file can't be read: it is no .xlsx workbook.", "Save it as .xlsx or CSV."
        ) from error
    except (InvalidFileException, KeyError, ValueError) as error:
        raise BrokenFile(f"The Excel file can't be read: {error}") from error
    rows = book.worksheets[0].iter_rows(values_only=True)
    try:
        header = column_names([_cell_text(cell) for cell in next(rows, ())])
        for number, row in enumerate(rows, 2):
            cells = [_cell_text(cell) for cell in row]
            if any(cells):
                # A row may end before the header does, or go on with empty cells.
                yield cell_record(number, (cells + [""] * len(header))[: len(header)], header)
    finally:
        # The workbook's file stays open as long as its rows do.
        rows.close()
        book.close()


def _check_size(path: Path) -> None:
    """Raise BrokenFile for a workbook that unpacks to too much; zipfile unpacks no more than its directory says."""
    with zipfile.ZipFile(path) as archive:
        unpacked_bytes = sum(entry.file_size for entry in archive.infolist())
    if unpacked_bytes > _MAX_WORKBOOK_BYTES:
        raise BrokenFile(
            f"The Excel file unpacks to {unpacked_bytes / 1e6:,.0f} MB; at most {_MAX_WORKBOOK_BYTES / 1e6:,.0f} MB are"
            " read.",
            "Save it as CSV.",
        )


def _lines(chunks: Any) -> Iterator[bytes]:
    """Yield the lines of a streamed answer, whose chunks hold whole ones."""
    for chunk in chunks:
        yield from chunk.bytes().splitlines()


def _parquet_record(number: int, line: bytes) -> Record | BadLine:
    try:
        line.decode()
    except UnicodeDecodeError:
        return _binary_record(number, line)
    record = json_record(number, line)
    if isinstance(record, BadLine) or None not in record.fields.values():
        return record
    return _record(number, record.fields)


def _binary_record(number: int, line: bytes) -> Record:
    """Return the record of a row with values that are no UTF-8: in base64, as BigQuery exports bytes."""
    values = json.loads(line.decode("utf-8", "surrogateescape"))
    fields = {name: _as_text(value) for name, value in values.items()}
    return _record(number, fields, frozenset(name for name, value in fields.items() if value != values[name]))


def _record(number: int, values: dict[str, Any], binary: frozenset[str] = frozenset()) -> Record:
    fields = {name: value for name, value in values.items() if value is not None}
    return Record(number, orjson.dumps(fields), fields, is_json=True, binary=binary)


def _as_text(value: Any) -> Any:
    """Return a value with base64 in place of the texts in it that hold other bytes than UTF-8."""
    if isinstance(value, list):
        return [_as_text(item) for item in value]
    if isinstance(value, dict):
        return {name: _as_text(item) for name, item in value.items()}
    if not isinstance(value, str):
        return value
    content = value.encode("utf-8", "surrogateescape")
    try:
        return content.decode()
    except UnicodeDecodeError:
        return base64.b64encode(content).decode()


def _cell_text(cell: Any) -> str:
    """Return a cell as CSV has it: a date in ISO 8601, a whole number without a point."""
    if cell is None:
        return ""
    if isinstance(cell, datetime.datetime | datetime.date):
        return cell.isoformat()
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return str(cell)
