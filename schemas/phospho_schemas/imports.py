"""The mark of the tasks of one import: a key of their metadata, by which pages filter."""

from __future__ import annotations

import hashlib
import re
from io import BufferedReader

IMPORT_KEY = "phospho_import"
_DIGEST_BYTES = 6
_MAX_NAME_CHARACTERS = 100
# What separates values and conditions in a filter, and what no text may hold.
_NOT_IN_A_FILTER = re.compile(r"[;|\\\x00-\x1f\x7f\ud800-\udfff]")


def import_id(file: BufferedReader, name: str) -> str:
    """
    Return the id of the import of a file, which is read to its end: a digest of its bytes, and its name.

    The same file has the same id, so that importing it again changes nothing.
    """
    digest = hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=_DIGEST_BYTES)).hexdigest()
    return f"{digest}/{_NOT_IN_A_FILTER.sub('_', name).strip()[:_MAX_NAME_CHARACTERS].rstrip()}"


def file_of_import(text: str) -> str:
    """Return the name of the file in an import's id."""
    return text.partition("/")[2] or text
