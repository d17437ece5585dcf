"""Rows of Excel files."""

from __future__ import annotations

import datetime
import zipfile
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from phospho_store.log_files.records import BadLine, BrokenFile, Record, cell_record, column_names

_EXCEL_SUFFIXES = (".xlsx", ".xlsm", ".xls")
# A workbook is a zip of XML, of which openpyxl holds the table of texts in memory.
_MAX_WORKBOOK_BYTES = 1_000_000_000


def is_excel(path: Path) -> bool:
    """Return whether a file is an Excel workbook, by its name."""
    return path.name.lower().endswith(_EXCEL_SUFFIXES)


def excel_rows(path: Path, fields: Collection[str]) -> Iterator[Record | BadLine]:
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
        header = column_names([_cell_text(cell) for cell in next(rows, ())], fields)
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


def _cell_text(cell: Any) -> str:
    """Return a cell as CSV has it: a date in ISO 8601, a whole number without a point."""
    if cell is None:
        return ""
    if isinstance(cell, datetime.datetime | datetime.date):
        return cell.isoformat()
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return str(cell)
