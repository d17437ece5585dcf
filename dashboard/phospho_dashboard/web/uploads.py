"""Forms with a file, which goes to the disk as it arrives."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import IO

from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from phospho_dashboard.web.forms import Form
from phospho_web.problems import Problem
from phospho_web.requests import media_type_of

_MEDIA_TYPE = "multipart/form-data"
_MAX_FIELDS = 10
_MAX_FIELD_BYTES = 10_000
_MAX_NAME_CHARACTERS = 200
# The boundaries and the fields around the file.
_MAX_FRAME_BYTES = 200_000


@dataclass(frozen=True)
class Upload:
    """The fields of a form, the name of its file without folders, and its content, which is the receiver's to close."""

    form: Form
    name: str
    content: IO[bytes]


async def read_upload(request: Request, max_bytes: int) -> Upload:
    """Return the form and the file in the body. Raises Problem: 413, 415 or 422."""
    if media_type_of(request) != _MEDIA_TYPE:
        raise Problem(415, "unsupported_media_type", f"a form with a file must be {_MEDIA_TYPE}")
    parser = MultiPartParser(
        request.headers,
        _bounded(request, max_bytes),
        max_files=1,
        max_fields=_MAX_FIELDS,
        max_part_size=_MAX_FIELD_BYTES,
    )
    try:
        fields = (await parser.parse()).multi_items()
    except MultiPartException as error:
        raise Problem(422, "invalid_form", f"the form can't be read: {error.message}") from None
    file = next((value for _, value in fields if isinstance(value, UploadFile)), None)
    if file is None or not file.filename:
        raise Problem(422, "missing_file", "no file was sent", "choose a file first")
    name = file.filename.replace("\\", "/").rpartition("/")[2][-_MAX_NAME_CHARACTERS:]
    return Upload(Form([(name, value) for name, value in fields if isinstance(value, str)]), name, file.file)


async def _bounded(request: Request, max_bytes: int) -> AsyncGenerator[bytes, None]:
    """Yield the body. Raises Problem 413 as soon as it, or its Content-Length, is too large."""
    announced = request.headers.get("content-length", "")
    left_bytes = max_bytes + _MAX_FRAME_BYTES
    if announced.isdecimal() and int(announced[:20]) > left_bytes:
        raise _too_large(max_bytes)
    async for chunk in request.stream():
        left_bytes -= len(chunk)
        if left_bytes < 0:
            raise _too_large(max_bytes)
        yield chunk


def _too_large(max_bytes: int) -> Problem:
    hint = "compress it (.gz), split it, or use the command line: phospho import FILE"
    return Problem(413, "file_too_large", f"a file must have at most {max_bytes / 1e6:,.0f} MB", hint)
